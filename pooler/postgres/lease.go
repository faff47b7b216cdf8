package postgres

import (
	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// acquire answers the machine's Acquire: with a server connection, or with the reason why there is none. It reports false if
// the answer is still to come.
func (cl *client) acquire() bool {
	if last := cl.lane.waiters.last; last != nil && last.client.who == cl.who {
		cl.wait() // behind another: nothing is free
		return false
	}
	for {
		lease, ok := cl.engine.servers.TryAcquire(cl.key(), pool.Prefer(cl.lane.mark(cl.machine.Tag())))
		if !ok {
			cl.wait()
			return false
		}
		if lease.Conn().spent() {
			lease.Discard(nil)
			continue
		}
		return cl.attach(lease)
	}
}

// wait waits for a server connection. All waits for one statement share a deadline.
func (cl *client) wait() {
	if cl.deadline == 0 {
		cl.deadline = momentOf(cl.lane.Now().Add(cl.engine.settings.Load().Limits.AcquireTimeout))
	}
	cl.lane.wait(cl, cl.deadline.time())
}

// served takes what the pool answers to who has waited.
func (cl *client) served(lease pool.Lease[*conn], err error) {
	switch {
	case cl.closing && err == nil:
		lease.Conn().spare(lease, func() {})
	case cl.closing:
	case err != nil:
		cl.refuse(err)
	case cl.revoked:
		lease.Conn().spare(lease, func() {})
		cl.refuse(errCanceled)
	case lease.Conn().spent():
		lease.Discard(nil)
		cl.wait()
	case cl.attach(lease):
		cl.resume()
	}
}

// refuse tells the client why it gets no server connection. Its session goes on.
func (cl *client) refuse(err error) {
	cl.deadline, cl.revoked = 0, false
	cl.machine.Refuse(cl.engine.refusal(cl.key(), err))
	cl.resume()
}

// attach gives the client a server connection. It reports false if that has to come from another lane first.
func (cl *client) attach(lease pool.Lease[*conn]) bool {
	c := lease.Conn()
	if c.lane.Load() != cl.lane {
		cl.moving = true
		c.move(cl.lane, func() { cl.arrived(lease) })
		return false
	}
	cl.deadline = 0
	cl.traffic.assigned.Add(1)
	c.lease, c.client, cl.conn = lease, cl, c
	cl.machine.Attach(c.machine)
	return true
}

// arrived takes a server connection that was on another lane.
func (cl *client) arrived(lease pool.Lease[*conn]) {
	cl.moving = false
	cl.served(lease, nil)
}

// detached takes the server connection away from the client if do ends its lease.
func (cl *client) detached(do session.Action) *conn {
	switch do {
	case session.Release, session.Reset, session.Discard:
		c := cl.conn
		cl.conn, c.client = nil, nil
		return c
	}
	return nil
}

// finish ends the lease if do says so.
func (cl *client) finish(do session.Action) {
	if c := cl.detached(do); c != nil {
		c.endLease(do)
	}
}
