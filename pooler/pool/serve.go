package pool

import (
	"cmp"
	"context"
)

// serve gives what is free to who waits and dials for the rest. Every change of state ends here.
func (p *Pool[C]) serve() {
	if p.queue.len > 0 && len(p.idle) > 0 {
		p.hand()
	}
	if len(p.group.hungry) > 0 {
		p.group.divide(p)
	}
	if p.queue.len > 0 {
		p.watch()
	}
	p.stock()
	if p.paused || p.closed {
		p.signal()
	}
}

// hand gives idle connections to waiters. Those that are too old are closed; those idle for too long are checked first, one
// for each waiter, while the waiters keep their places: who is the oldest when a check is done gets the connection.
func (p *Pool[C]) hand() {
	for len(p.idle) > 0 {
		w := p.next()
		if w == nil {
			return
		}
		i := p.pick(w.tag)
		e := p.idle[i]
		if e.stale() && p.tally[resetting] >= p.wanting() {
			return
		}
		p.pull(i)
		switch {
		case e.expired():
			p.shut(e, ByLifetime)
		case e.stale():
			p.prepare(e, "Check", p.hooks.Check)
		default:
			p.give(e, w)
		}
	}
}

// lend makes e a lease. e comes from anywhere but the stack.
func (p *Pool[C]) lend(e *entry[C], class uint8) Lease[C] {
	g := p.group
	g.wake()
	p.move(e, lent)
	p.occupy(e, class)
	p.stat.Acquired++
	if e.timed = p.stat.Acquired%sampled == 1; e.timed {
		g.clock()
	}
	p.used, e.lentAt = g.now, g.now
	lift(&p.size.peak, p.tally[lent])
	lift(&p.peaks.lent, p.tally[lent])
	lift(&g.peaks.lent, g.tally[lent])
	return Lease[C]{e, e.turn}
}

// settle brings e, which is whole, to where it belongs: to the oldest waiter, to the idle stack, or to its end.
func (p *Pool[C]) settle(e *entry[C]) {
	why := p.verdict(e)
	if why == kept {
		if w := p.next(); w != nil {
			p.give(e, w)
		} else if len(p.idle) >= p.cfg.MaxIdle && !p.succeed(e) {
			why = Surplus
		} else {
			p.rest(e)
		}
	}
	if why != kept {
		p.shut(e, why)
	}
	p.serve()
}

// verdict is the reason to close e now that it comes back, or kept.
func (p *Pool[C]) verdict(e *entry[C]) Reason {
	switch {
	case p.closed:
		return Shutdown
	case e.generation != p.generation:
		return Retired
	case p.over():
		return Surplus
	case e.expired():
		return ByLifetime
	case p.queue.len > 0 && p.claimed(e):
		return Yielded
	}
	return kept
}

// rest puts e on the idle stack.
func (p *Pool[C]) rest(e *entry[C]) {
	p.move(e, idle)
	if e.tending {
		p.rejoin(e)
		return
	}
	e.since = p.group.now
	p.idle = append(p.idle, e)
}

// pull takes the connection at i off the idle stack; at the warm end that moves none. The caller moves it on.
func (p *Pool[C]) pull(i int) *entry[C] {
	e := p.idle[i]
	last := len(p.idle) - 1
	if i < last {
		copy(p.idle[i:], p.idle[i+1:])
	}
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return e
}

// popCold takes the coldest connection off the idle stack. The caller moves it on.
func (p *Pool[C]) popCold() *entry[C] { return p.pull(0) }

// prepare runs the hook for e, which comes from anywhere but the stack, outside the lock; then e settles.
func (p *Pool[C]) prepare(e *entry[C], name string, hook func(context.Context, C) error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.DialTimeout)
	e.cancel = cancel
	p.move(e, resetting)
	go func() {
		p.prepared(e, attempt(name, func() error { return hook(ctx, e.conn) }))
	}()
}

func (p *Pool[C]) prepared(e *entry[C], err error) {
	defer p.group.lock().unlock()
	e.back()
	switch {
	case e.state == closing: // called off meanwhile
		go p.closeConn(e)
	case err != nil:
		e.err = err
		p.shut(e, Broken)
		p.serve()
	default:
		p.settle(e)
		e.tending = false
	}
}

// shut begins the end of e. The caller takes it off the stack, if it is there, and serves.
func (p *Pool[C]) shut(e *entry[C], why Reason) {
	p.move(e, closing)
	e.reason = why
	if e.cancel != nil {
		e.cancel() // the goroutine of its hook sees the state when it comes back, and closes it
		return
	}
	go p.closeConn(e)
}

// closeConn calls the Close hook, which frees the place.
func (p *Pool[C]) closeConn(e *entry[C]) {
	err := attempt("Close", func() error { p.hooks.Close(e.conn); return nil })
	e.err = cmp.Or(e.err, err)
	p.hooks.event(Event{Kind: Closed, Reason: e.reason, Err: e.err})
	defer p.group.lock().unlock()
	*p.stat.closed(e.reason)++
	p.drop(e)
	p.serve()
}

// drop forgets e, which comes from anywhere but the stack. The caller serves.
func (p *Pool[C]) drop(e *entry[C]) {
	p.move(e, gone)
	delete(p.all, e)
}

// signal tells those who wait for the pool to be drained or closed.
func (p *Pool[C]) signal() {
	if p.paused && p.tally[lent]+p.tally[resetting] == 0 {
		select {
		case <-p.drained:
		default:
			close(p.drained)
		}
	}
	if p.closed && p.open() == 0 {
		p.group.forget(p)
	}
}
