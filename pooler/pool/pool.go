package pool

import (
	"context"
	"math"
	"slices"
	"time"
)

// Pool keeps connections to one destination. Make one with New, or many under one budget with NewSet.
type Pool[C any] struct {
	group   *group[C]   // holds the lock that guards everything below
	parties []*party[C] // with whom it shares a limit: the group and, if it has one, its tenant
	hooks   Hooks[C]
	cfg     Config
	cap     int // from Set.Limit

	all   map[*entry[C]]struct{}
	dials dials
	final error // told to new clients while a backoff after it lasts and nothing is held; else nil

	generation uint64 // rises with Retire
	paused     bool
	closed     bool
	drained    chan struct{} // closed when nothing is lent; made by Pause
	done       chan struct{} // closed when the pool is closed and nothing is open

	granted uint64 // when it last got a place, in grants of the group
	peaks   peaks  // since ResetPeaks
	shed    shed
	proof   proof //nolint:unused // see check

	// What changes with each lease is together, as each piece of it goes from the cache of one CPU to that of another.
	tally
	used   time.Duration // when it was last acquired from, on the coarse clock
	common int           // of what is lent, that to clients who may not use the reserve
	idle   []*entry[C]   // a stack: the warmest last
	queue  queue[C]
	size   size
	stat   Stats // what only rises; the rest is filled in by Stats
}

// New makes a Pool and starts to fill it to Min. It fails if cfg makes no sense, naming the field.
func New[C any](cfg Config, hooks Hooks[C]) (*Pool[C], error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := hooks.validate(); err != nil {
		return nil, err
	}
	g := newGroup[C](math.MaxInt)
	g.mu.Lock()
	p := g.add(cfg, hooks, math.MaxInt)
	p.serve()
	g.unlock()
	return p, nil
}

// add makes a pool of the group. The caller serves, which starts to fill it to Min.
func (g *group[C]) add(cfg Config, hooks Hooks[C], limit int) *Pool[C] {
	p := &Pool[C]{
		group: g,
		hooks: hooks,
		cfg:   cfg.withDefaults(),
		cap:   limit,
		all:   make(map[*entry[C]]struct{}),
		done:  make(chan struct{}),
		used:  g.clock(),
	}
	p.dials.window = math.MaxInt
	g.join(p)
	p.lodge()
	return p
}

// limit is the most connections this pool may have open; what its parties may comes on top.
func (p *Pool[C]) limit() int { return min(p.cfg.Max, p.cap) }

// Acquire lends a connection, waiting for one as long as ctx allows. The error is ErrClosed, ErrQueueFull, ErrShed, an error of
// Dial that is final, or a *WaitError that tells how long and for what the client waited and wraps the cause of ctx's end
// and the last dial error. A connection is never lent after ctx is done, even when it became free before.
func (p *Pool[C]) Acquire(ctx context.Context, opts ...Option) (Lease[C], error) {
	why := ended(ctx)
	deadline, _ := ctx.Deadline() // before the lock: it may be foreign code
	p.group.rush()
	return p.acquire(ctx, why, deadline, wanted(opts))
}

// ended is why ctx has ended; nil if it has not.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// acquire is Acquire with the lock held, which it gives up. No foreign code runs meanwhile, not even ctx's.
func (p *Pool[C]) acquire(ctx context.Context, ended error, deadline time.Time, want want) (Lease[C], error) {
	g := p.group
	if ended != nil {
		return Lease[C]{}, p.refuse(ended)
	}
	if l, ok := p.take(want); ok {
		g.unlock()
		return l, nil
	}
	w, err := p.enter(deadline, want, nil)
	g.unlock()
	if err != nil {
		return Lease[C]{}, err
	}
	return p.await(ctx, w)
}

// refuse explains why a client whose time is up is not let in. It gives up the lock.
func (p *Pool[C]) refuse(cause error) error {
	p.group.clock()
	err := p.waitError(0, p.queue.len, cause)
	p.group.unlock()
	return &err
}

// await blocks until w is answered or ctx is done.
func (p *Pool[C]) await(ctx context.Context, w *waiter[C]) (Lease[C], error) {
	if done := ctx.Done(); done == nil {
		<-w.ready
	} else {
		select {
		case <-w.ready:
		case <-done:
			if !p.giveUp(ctx, w) {
				<-w.ready // it was answered before it could leave
			}
		}
	}
	l, err, since := w.lease, w.failure(), w.since
	if w.seq%asked == 0 {
		p.group.woken(l)
	}
	p.group.recycle(w)
	if err == nil && ctx.Err() != nil {
		return Lease[C]{}, p.takeBack(ctx, l, since)
	}
	return l, err
}

// giveUp takes w out of the queue because ctx is done; false if it was answered before.
func (p *Pool[C]) giveUp(ctx context.Context, w *waiter[C]) bool {
	g, cause := p.group, context.Cause(ctx)
	defer g.lock().unlock()
	if !w.queued {
		return false
	}
	w.late, w.why = true, p.waitError(g.now-w.since, p.queue.ahead(w), cause)
	p.leave(w)
	if p.queue.len == 0 || len(p.idle) > 0 { // else nobody is nearer to a connection than before
		p.serve()
	}
	return true
}

// takeBack undoes a lease that was given to a client whose ctx was done by the time it woke.
func (p *Pool[C]) takeBack(ctx context.Context, l Lease[C], since time.Duration) error {
	g, cause := p.group, context.Cause(ctx)
	defer g.lock().unlock()
	err := p.waitError(g.now-since, 0, cause)
	if p.end(l) {
		p.stat.Acquired--
		p.settle(l.entry)
	}
	return &err
}

// AcquireFunc is Acquire for event-driven callers: deliver is called once, with a lease or an error, never with the pool
// locked. It may be called before AcquireFunc returns, and by any goroutine that releases a connection or ends a dial, so it should
// hand over and return. The zero deadline is none; after it deliver gets a *WaitError. The Place is for who gives up before.
func (p *Pool[C]) AcquireFunc(deadline time.Time, deliver func(Lease[C], error), opts ...Option) Place[C] {
	p.group.rush()
	return p.acquireFunc(deadline, deliver, wanted(opts))
}

// acquireFunc is AcquireFunc with the lock held, which it gives up.
func (p *Pool[C]) acquireFunc(deadline time.Time, deliver func(Lease[C], error), want want) Place[C] {
	g := p.group
	if !deadline.IsZero() && g.clock() >= deadline.Sub(g.epoch) {
		deliver(Lease[C]{}, p.refuse(context.DeadlineExceeded))
		return Place[C]{}
	}
	if l, ok := p.take(want); ok {
		g.unlock()
		deliver(l, nil)
		return Place[C]{}
	}
	w, err := p.enter(deadline, want, deliver)
	if err != nil {
		g.unlock()
		deliver(Lease[C]{}, err)
		return Place[C]{}
	}
	place := Place[C]{w, w.ticket}
	if w.queued && w.deadline != 0 {
		arm(&w.timer, w.deadline-w.since, w.ring)
	}
	g.unlock()
	return place
}

// TryAcquire lends an idle connection, if there is one that need not be checked and that the client may have.
func (p *Pool[C]) TryAcquire(opts ...Option) (Lease[C], bool) {
	p.group.mu.Lock()
	l, ok := p.take(wanted(opts))
	p.group.unlock()
	return l, ok
}

// take lends the idle connection that suits best if that needs no more than that. Nobody waits who might have it: serve has seen to it.
func (p *Pool[C]) take(want want) (Lease[C], bool) {
	if len(p.idle) == 0 || p.paused || p.closed || !p.admits(want.class) {
		return Lease[C]{}, false
	}
	i := p.pick(want.tag)
	e := p.idle[i]
	if e.expired() || e.stale() {
		return Lease[C]{}, false
	}
	p.pull(i)
	l := p.lend(e, want.class)
	if p.cfg.LeakAfter > 0 {
		e.site = here()
	}
	p.stat.AcquiredIdle++
	p.stat.Wait.Counts[0]++
	p.stock()
	return l, true
}

// Config is the present configuration, with defaults filled in.
func (p *Pool[C]) Config() Config {
	defer p.group.lock().unlock()
	return p.cfg
}

// Configure replaces the Config at once: clients that wait are served from what it adds, idle connections above it are
// closed, lent ones when they come back, dials above it are called off. It never waits. Open falls to a lower Max; it does
// not rise above it meanwhile. A backoff after failed dials ends. It fails if cfg makes no sense or names another Tenant, and
// then changes nothing.
func (p *Pool[C]) Configure(cfg Config) error {
	defer p.group.lock().unlock()
	if err := cfg.replaces(&p.cfg); err != nil {
		return err
	}
	p.adopt(cfg)
	p.shrink()
	p.serve()
	return nil
}

// adopt takes a Config over. The caller shrinks and serves.
func (p *Pool[C]) adopt(cfg Config) {
	p.cfg = cfg.withDefaults()
	for e := range p.all {
		e.setExpiry()
	}
	p.bound()
	p.calm()
}

// Retire closes the connections that exist now: idle ones at once, lent ones when released, those still dialing when
// dialed (after a failover, say). A backoff after failed dials ends.
func (p *Pool[C]) Retire() {
	defer p.group.lock().unlock()
	p.generation++
	p.size.ceiling = 0
	p.cool(0, Retired)
	p.calm()
	p.serve()
}

// DiscardIdle closes the idle connections that are broken, as Lease.Discard does with lent ones, and tells how many. They
// are not lent for it. What broken says of a connection must stay true; it is called without locks.
func (p *Pool[C]) DiscardIdle(broken func(C) bool) (n int) {
	g := p.group
	g.mu.Lock()
	found := slices.Clone(p.idle)
	g.unlock()
	found = slices.DeleteFunc(found, func(e *entry[C]) bool { return !broken(e.conn) })
	if len(found) == 0 {
		return 0
	}
	defer g.lock().unlock()
	for _, e := range found {
		if e.state == idle { // still, or again
			p.shut(e, Broken)
			n++
		}
	}
	p.prune()
	p.serve()
	return n
}
