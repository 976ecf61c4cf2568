// Package inside is what runs in a sandbox: a process that lays its file system and
// serves it, and one that becomes the first of its processes. Both are this
// program, run once more under another name.
//
// A start of this program takes longer than all that they do, most of it for
// packages that they do not need. So they act while packages are initialized,
// before those: this package imports only what is initialized early, and neither
// net nor os/signal. The rest of the program is not run.
package inside
