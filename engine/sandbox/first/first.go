// Package first becomes the first process of a build environment. A process there
// is not hurt by kill -9 -1, and only one that is there can mount its /proc. It is
// this program, run once more, that does so and then becomes the process that is
// wanted.
//
// It is started before the environment is there, in which the program may have no
// libraries to run with, and waits for its order. To cost no more than a few
// milliseconds it does so while packages are initialized, before those that take
// long; so it imports nothing but a little of the standard library. The rest of
// the program is not run.
package first

// Name is what the program is called then.
const Name = "buildlocal-sandbox-first"
