package postgres

import (
	"time"

	"github.com/weir-dev/weir/pooler/postgres/session"
)

// linger is how long a client that was told to go may take to do so, and its last message to be taken.
const linger = time.Second

// leave ends what the client has on the server.
func (cl *client) leave(polite bool) {
	cl.closing = true
	if cl.waiter != nil {
		cl.waiter.leave()
	}
	if cl.pinned != 0 {
		cl.unpin()
	}
	if c := cl.conn; !polite && cl.part() {
		c.arm() // what the client has not taken is of no matter any more
		return
	}
	busy := cl.machine.Busy()
	do := cl.decide(func(s *session.Session) session.Action { return s.Leave(polite) })
	c := cl.detached(do)
	switch {
	case c == nil:
		if cl.conn != nil {
			cl.conn.arm() // what the client has not taken is of no matter any more
		}
	case do == session.Discard && busy && !c.broken.Load():
		c.abort()
	default:
		c.endLease(do)
	}
}

// vanish is for a client that is gone without a goodbye.
func (cl *client) vanish() {
	if !cl.closing {
		cl.fail()
		cl.leave(false)
	}
	cl.close()
}

// close forgets the client.
func (cl *client) close() {
	if cl.closed || !cl.started {
		return
	}
	cl.closed = true
	if !cl.closing {
		cl.leave(false)
	}
	cl.fail()
	cl.socket.Close()
	cl.saved, cl.tls = nil, nil
	cl.engine.gone(cl)
}

// idle says that nothing of the client is under way.
func (cl *client) idle() bool {
	return cl.started && cl.waiter == nil && !cl.moving && cl.machine.Idle()
}

// letGo tells the client to go, if it is to and nothing of it is under way.
func (cl *client) letGo() {
	if cl.drained.Load() && cl.idle() {
		cl.hangUp(shutdownMessage)
	}
}

// serverLost tells the client that its server connection is gone.
func (cl *client) serverLost() {
	if cl.machine.Failed() { // which is not the server's doing
		cl.hangUp(failedMessage)
		return
	}
	cl.engine.counters.serversLost.Add(1)
	if cl.machine.ServerDied() {
		cl.hangUp(nil)
		return
	}
	cl.hangUp(serverLostMessage)
}

// hangUp sends a last message and lets the client read it before the connection is closed. Nothing happens if the client is
// going already. In the middle of a message of the server nothing is sent: it would be taken for data.
func (cl *client) hangUp(message []byte) {
	if cl.closing || !cl.started {
		return
	}
	if cl.machine.Torn() {
		message = nil
	}
	cl.leave(false)
	if len(message) > 0 {
		cl.write(message) // who is gone need not be told
	}
	cl.end()
	cl.arm()
	cl.lane.after(linger, cl.close)
}
