// Package inside is the part of a sandbox that runs in its namespaces: the server, which
// mounts the file system and starts processes, and the first of those processes. Both are
// this program, executed again under another name.
//
// Starting this program takes longer than everything they do, mostly for initializing
// packages that they do not need. So they run in an init function: this package imports
// only packages that are initialized early, neither net nor os/signal, and exits before the
// others are. The rest of the program does not run.
package inside
