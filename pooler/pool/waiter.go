package pool

import (
	"context"
	"time"
)

// waiter is a client's place in the queue of a pool. It is used again for other clients; the ticket tells its uses apart.
type waiter[C any] struct {
	prev, next *waiter[C]
	seq        uint64        // its place since the pool began
	since      time.Duration // on the group's clock
	deadline   time.Duration // on the group's clock; 0: none
	want
	queued bool
	late   bool // its time was up, and why is its error

	lease Lease[C]
	err   error
	site  *site // where its client asked; nil unless Config.LeakAfter asks for it

	// How its client is told: through ready (a blocked goroutine) or by calling deliver.
	ready   chan struct{}
	deliver func(Lease[C], error)
	timer   *time.Timer // ends the wait of a client with deliver

	home   *group[C]
	pool   *Pool[C]
	ticket uint64    // rises with each use
	why    WaitError // to be copied without the lock, as that allocates
}

// newWaiter takes a waiter from those used before, or makes one. The caches are per group, not of the package: the
// channels and timers of one synctest bubble must not be used in another.
func (g *group[C]) newWaiter(p *Pool[C], deadline time.Time, want want) *waiter[C] {
	w, _ := g.waiters.Get().(*waiter[C])
	if w == nil {
		w = &waiter[C]{home: g, ready: make(chan struct{}, 1)}
	}
	w.ticket++
	w.pool, w.since, w.deadline, w.want = p, g.clock(), 0, want
	if p.cfg.LeakAfter > 0 {
		w.site = here()
	}
	if !deadline.IsZero() {
		w.deadline = max(1, deadline.Sub(g.epoch))
	}
	return w
}

// recycle gives a waiter back that is in no queue and whose answer was read.
func (g *group[C]) recycle(w *waiter[C]) {
	if w.late {
		w.late, w.why = false, WaitError{}
	}
	w.deliver, w.lease, w.err, w.next, w.site = nil, Lease[C]{}, nil, nil, nil
	g.waiters.Put(w)
}

// failure is the error that the client of w is told, nil with a lease.
func (w *waiter[C]) failure() error {
	if !w.late {
		return w.err
	}
	why := w.why
	return &why
}

// enter puts a client in the queue, or refuses it. It may have been answered when enter returns.
func (p *Pool[C]) enter(deadline time.Time, want want, deliver func(Lease[C], error)) (*waiter[C], error) {
	g := p.group
	switch {
	case p.closed:
		return nil, ErrClosed
	case p.final != nil && p.held() == 0:
		p.stat.Refused++
		return nil, p.final
	case p.full(want.class):
		p.stat.QueueFull++
		return nil, ErrQueueFull
	}
	w := g.newWaiter(p, deadline, want)
	w.deliver = deliver
	p.queue.push(w)
	if p.queue.len == 1 {
		p.shed.begins(w.since)
		for _, t := range p.parties {
			t.hungry = append(t.hungry, p)
		}
	}
	if g.waiting++; g.waiting == 1 {
		g.exact.Store(true)
	}
	p.used = g.now
	lift(&p.peaks.waiting, p.queue.len)
	lift(&g.peaks.waiting, g.waiting)
	g.wake()
	p.serve()
	return w, nil
}

// full reports whether the next client would wait for others as one too many. See Config.MaxWaiting.
func (p *Pool[C]) full(class uint8) bool {
	if p.cfg.MaxWaiting < 0 {
		return false
	}
	places := p.most() - p.tally[lent]
	for _, t := range p.parties {
		places = min(places, t.budget-t.tally[lent])
	}
	if class != highest {
		places = min(places, p.commons()-p.common)
	}
	return p.queue.len-max(0, places) >= p.cfg.MaxWaiting
}

// leave takes w out of the queue and records its wait.
func (p *Pool[C]) leave(w *waiter[C]) {
	g := p.group
	p.queue.remove(w)
	if g.waiting--; g.waiting == 0 {
		g.exact.Store(false) // it waited, so ticks are not slow
	}
	if p.queue.len == 0 {
		p.shed.emptied()
		for _, t := range p.parties {
			t.hungry = without(t.hungry, p)
		}
	}
	p.stat.Wait.Observe(g.now - w.since)
}

// answer tells the client of w, which has left the queue, its lease or err.
func (p *Pool[C]) answer(w *waiter[C], l Lease[C], err error) {
	w.lease, w.err = l, err
	if w.deliver != nil && w.timer != nil {
		w.timer.Stop()
	}
	w.next, p.group.outbox = p.group.outbox, w
}

// give lends e to w.
func (p *Pool[C]) give(e *entry[C], w *waiter[C]) {
	if p.admits(0) { // else only the highest class had a turn
		p.queue.served(w.class, &p.cfg.Queue.Weights)
	}
	p.leave(w)
	e.site = w.site
	p.answer(w, p.lend(e, w.class), nil)
}

// fail answers w with err.
func (p *Pool[C]) fail(w *waiter[C], err error) {
	p.leave(w)
	p.answer(w, Lease[C]{}, err)
}

// timeout answers w with a WaitError.
func (p *Pool[C]) timeout(w *waiter[C]) {
	w.late, w.why = true, p.waitError(p.group.now-w.since, p.queue.ahead(w), context.DeadlineExceeded)
	p.fail(w, nil)
}

// next is the client that may be given a connection now, the oldest of the class whose turn it is, still queued; nil if there is none. Those whose time
// is up are told so: a context's end shows late when CPU is short, and a connection lent then is lost for all.
func (p *Pool[C]) next() *waiter[C] {
	if p.queue.len == 0 || p.paused {
		return nil
	}
	now := p.group.clock()
	if p.cfg.Queue.Adaptive {
		p.judge()
	}
	for p.queue.len > 0 {
		l := p.turn()
		if l.len == 0 {
			return nil
		}
		w := p.first(l)
		if w.deadline == 0 || now < w.deadline {
			return w
		}
		p.timeout(w)
	}
	return nil
}

// turn is the line to be served next; an empty one if nobody who waits may have a connection.
func (p *Pool[C]) turn() *line[C] {
	if p.admits(0) {
		return p.queue.turn(&p.cfg.Queue.Weights)
	}
	return &p.queue.lines[highest]
}

// waitError explains a wait that ended without a connection, and counts it.
func (p *Pool[C]) waitError(waited time.Duration, ahead int, cause error) WaitError {
	p.stat.TimedOut++
	err := WaitError{Waited: waited, Ahead: ahead, Counts: p.brief(), Err: cause}
	if p.dials.err != nil && (p.dials.fails > 0 || p.group.now-waited <= p.dials.failedAt) {
		err.Dial, err.Fails = p.dials.err, max(1, p.dials.fails)
	}
	return err
}

// ring ends the wait of w if its time is up. A timer that rings for an earlier use of w finds a later deadline, or none.
func (w *waiter[C]) ring() {
	defer w.home.lock().unlock()
	if w.queued && w.deliver != nil && w.deadline != 0 && w.home.now >= w.deadline {
		w.pool.timeout(w)
		w.pool.serve()
	}
}
