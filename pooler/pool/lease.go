package pool

import "runtime"

// Lease is the right to use one connection until Release, Discard or Hijack, of which the first call counts.
// Later calls do nothing and are counted in Stats.Misuses. A Lease is a value; copies are the same lease.
// The zero Lease holds nothing; its methods do nothing, but Conn panics.
type Lease[C any] struct {
	entry *entry[C]
	turn  uint64
}

// Conn is the connection, for who holds the lease. It panics after the lease ended: what it would return may be in use by
// somebody else.
func (l Lease[C]) Conn() C {
	if e := l.entry; e != nil && e.turn == l.turn && !e.seized.Load() {
		return e.conn
	}
	panic("pool: Conn of a lease that has ended")
}

// Valid reports whether the lease holds a connection: it was acquired and has not ended.
func (l Lease[C]) Valid() bool {
	if l.entry == nil {
		return false
	}
	g := l.entry.pool.group
	g.mu.Lock()
	defer g.unlock()
	return l.entry.state == lent && l.entry.turn == l.turn
}

// Release gives the connection back; to the oldest waiter, if there is one. It does not wait for the Reset hook.
func (l Lease[C]) Release() { l.ReleaseAs(0) }

// ReleaseAs is Release, and Prefer(tag) will find the connection (it has the same session settings, say). Tag 0 is no tag.
func (l Lease[C]) ReleaseAs(tag uint64) {
	if l.entry == nil {
		return
	}
	p := l.entry.pool
	p.group.rush()
	if p.end(l) {
		l.entry.tag = tag
		p.release(l.entry)
	}
	if p.group.unlock() && p.group.hasty() {
		runtime.Gosched()
	}
}

// Discard closes the connection, because of why (which may be nil), and, if clients wait, another is dialed.
func (l Lease[C]) Discard(why error) {
	if l.entry == nil {
		return
	}
	p := l.entry.pool
	defer p.group.lock().unlock()
	if p.end(l) {
		l.entry.err = why
		p.shut(l.entry, Broken)
		p.serve()
	}
}

// Hijack takes the connection out of the pool, which forgets it: its place is free at once, and closing it is up to
// the caller. After the lease ended it returns the zero C.
func (l Lease[C]) Hijack() (conn C) {
	if l.entry == nil {
		return conn
	}
	p := l.entry.pool
	defer p.group.lock().unlock()
	if p.end(l) {
		conn = l.entry.conn
		p.drop(l.entry)
		p.serve()
	}
	return conn
}

// end ends the lease, and reports false if it had ended before.
func (p *Pool[C]) end(l Lease[C]) bool {
	e := l.entry
	if e.turn != l.turn || e.state != lent {
		if !e.seized.Load() {
			p.stat.Misuses++
		}
		return false
	}
	e.turn++
	e.site = nil
	p.free(e)
	if e.timed {
		held := p.group.clock() - e.lentAt
		p.stat.Hold.Observe(held)
		mean(&p.shed.hold, held)
	}
	return true
}

// release brings a connection back whose lease just ended: to its Reset hook, or to rest.
func (p *Pool[C]) release(e *entry[C]) {
	p.size.returns++
	if p.hooks.Reset != nil && p.verdict(e) == kept {
		p.prepare(e, "Reset", p.hooks.Reset)
		p.serve()
		return
	}
	p.settle(e)
}
