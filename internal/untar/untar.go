// Package untar unpacks tar streams, also hostile ones: nothing is ever written
// outside of the directory it is given. It needs Linux.
package untar
