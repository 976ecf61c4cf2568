// Package untar unpacks tar streams safely, even hostile ones: nothing is ever written
// outside of the target directory. It can unpack layers of images, with whiteouts in the
// form of overlay. It needs Linux.
package untar
