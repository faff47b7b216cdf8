package postgres

import (
	"time"

	"github.com/weir-dev/weir/pooler/postgres/session"
)

const (
	// partTimeout is how long a server may take to end what a client that has vanished has left. After that its connection is
	// closed.
	partTimeout = 10 * time.Second

	// cancelAgain is the time between the first cancel request for such a client and the second; then it doubles. One that
	// comes before its statement has begun is lost, and each ends one statement.
	cancelAgain = 50 * time.Millisecond
)

// part has the server end what it does for a client that is gone, so that its connection can be kept. It reports false if the
// connection cannot be. mu is locked.
func (cl *client) part() bool {
	c := cl.conn
	if c == nil || c.broken.Load() {
		return false
	}
	inject, ok := cl.machine.Part()
	if !ok {
		return false
	}
	cl.parted.Store(true)
	cl.engine.background(func() {
		if len(inject) > 0 {
			cl.send(c, inject)
		}
		cl.windUp(c)
	})
	return true
}

// windUp cancels what c runs for the client until there is nothing left, or the server has had its time.
func (cl *client) windUp(c *conn) {
	patience := time.NewTimer(partTimeout)
	defer patience.Stop()
	for pause := cancelAgain; ; pause *= 2 {
		cl.mu.Lock()
		left := cl.conn == c
		if left {
			cl.cancelStatement()
		}
		cl.mu.Unlock()
		if !left {
			return
		}
		select {
		case <-time.After(pause):
		case <-patience.C:
			cl.abandon()
			return
		case <-cl.engine.ctx.Done():
			cl.abandon()
			return
		}
	}
}

// abandon gives up a server connection that was to be kept.
func (cl *client) abandon() {
	cl.mu.Lock()
	c := cl.detached(cl.machine.Abandon())
	cl.mu.Unlock()
	if c != nil {
		c.end(session.Discard)
	}
}
