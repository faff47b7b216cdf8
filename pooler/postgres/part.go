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
// connection cannot be.
func (cl *client) part() bool {
	c := cl.conn
	if c == nil || c.broken.Load() {
		return false
	}
	inject, ok := cl.machine.Part()
	if !ok {
		return false
	}
	cl.parted = true
	cl.forward(inject)
	cl.windUp(c, cancelAgain, cl.lane.Now().Add(partTimeout))
	return true
}

// windUp cancels what c runs for the client until there is nothing left, or the server has had its time.
func (cl *client) windUp(c *conn, pause time.Duration, until time.Time) {
	switch {
	case cl.conn != c:
		return
	case !time.Now().Before(until) || cl.engine.ctx.Err() != nil:
		cl.finish(cl.decide((*session.Session).Abandon))
		return
	}
	cl.cancelStatement(func() {})
	cl.lane.after(min(pause, time.Until(until)), func() { cl.windUp(c, 2*pause, until) })
}
