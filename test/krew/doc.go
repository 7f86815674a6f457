// Package krew tests the way that the plugin reaches its users: `make dist`, then the
// real krew and the real kubectl on what it made. It holds no code. It does not test
// what the plugin does once it runs; test/e2e does.
//
// Nothing is fetched but Go modules: krew is built from its own module, and what
// krew would download from the release page it gets from a server in the test. On
// platforms other than this machine's a stand-in is packed in place of the program.
//
// Start reading at TestKrew.
package krew
