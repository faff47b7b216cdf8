// Package listen bounds how many connections a listener has open at once.
//
// Decision: who comes when it is full waits in the kernel's queue rather than being turned away, because the servers that
// use it give each connection little time, so room comes back soon.
package listen
