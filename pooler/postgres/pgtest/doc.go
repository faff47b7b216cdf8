// Package pgtest runs a real PostgreSQL for a test, and an engine in front of it: on a loopback port, with its data in a
// temporary directory, as an unprivileged user if the test runs as root. It ends with the test, and with the test's process if
// that is killed.
//
// A PostgreSQL must be installed (Debian: apt-get install postgresql). A test that cannot have one fails; it is not skipped,
// because a skipped test proves nothing.
package pgtest
