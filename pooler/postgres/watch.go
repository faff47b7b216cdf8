package postgres

import (
	"context"
	"time"
)

// watchAfter is how long a client waits before it is watched: most waits are shorter, and a watch costs system calls.
const watchAfter = time.Second

// watch ends a wait when the client goes away meanwhile. What it sends is kept. The client's goroutine, which waits, calls
// the returned function before it reads again.
func (cl *client) watch(end context.CancelCauseFunc) (unwatch func()) {
	done := make(chan struct{})
	timer := time.AfterFunc(watchAfter, func() {
		defer close(done)
		for cl.in.roomy() {
			if err := cl.in.read(cl.net, len(cl.in.bytes())+1); err != nil {
				end(errGone)
				return
			}
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		cl.net.SetReadDeadline(time.Unix(1, 0))
		<-done
		cl.mu.Lock()
		defer cl.mu.Unlock()
		again := time.Time{}
		if cl.closing {
			again = time.Now().Add(linger)
		}
		cl.net.SetReadDeadline(again)
	}
}
