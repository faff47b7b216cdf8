package postgres

import (
	"context"
	"time"
)

// watchAfter is how long a client waits before it is watched: most waits are shorter, and a watch costs system calls.
const watchAfter = time.Second

// watch ends the wait of a login when the client goes away meanwhile. What it sends is kept. The login's goroutine, which
// waits, calls the returned function before it reads again.
func (en *entry) watch(end context.CancelCauseFunc) (unwatch func()) {
	done := make(chan struct{})
	timer := time.AfterFunc(watchAfter, func() {
		defer close(done)
		for en.in.roomy() {
			if err := en.in.read(en.net, len(en.in.bytes())+1); err != nil {
				end(errGone)
				return
			}
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		en.net.SetReadDeadline(time.Unix(1, 0))
		<-done
		en.net.SetReadDeadline(time.Time{})
	}
}
