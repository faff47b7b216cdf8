package pool

import (
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"time"
)

// Set is the pools of many destinations, made on first use, under one budget: all together never have more connections
// open than it, dials included. An idle connection of a rich pool yields to a waiting client of a poor one, and no pool
// starves; see divide.go. Clients of one key are served first come first served.
type Set[K comparable, C any] struct {
	group   *group[C]
	open    func(K) (Config, Hooks[C], error)
	pools   map[K]*Pool[C] // guarded by the group's lock, like all below
	limits  map[K]int
	version uint64       // of what open returns: rises with Configure
	paused  func(K) bool // the pools that are paused; nil: none
	closed  bool
}

// NewSet makes a Set that has at most budget connections open (0, or less: none before SetBudget). open gives what a
// key's pool is made of; it is called at the first use of a key, without locks, and perhaps more than once.
func NewSet[K comparable, C any](budget int, open func(K) (Config, Hooks[C], error)) *Set[K, C] {
	return &Set[K, C]{
		group:  newGroup[C](max(0, budget)),
		open:   open,
		pools:  make(map[K]*Pool[C]),
		limits: make(map[K]int),
	}
}

// Acquire is Pool.Acquire for a key. The error may also be what open returned.
func (s *Set[K, C]) Acquire(ctx context.Context, key K, opts ...Option) (Lease[C], error) {
	why := ended(ctx) // before the lock: it may be foreign code
	deadline, _ := ctx.Deadline()
	p, err := s.lock(key)
	if err != nil {
		return Lease[C]{}, err
	}
	return p.acquire(ctx, why, deadline, wanted(opts))
}

// AcquireFunc is Pool.AcquireFunc for a key. deliver may also get what open returned as an error.
func (s *Set[K, C]) AcquireFunc(key K, deadline time.Time, deliver func(Lease[C], error), opts ...Option) Place[C] {
	p, err := s.lock(key)
	if err != nil {
		deliver(Lease[C]{}, err)
		return Place[C]{}
	}
	return p.acquireFunc(deadline, deliver, wanted(opts))
}

// TryAcquire is Pool.TryAcquire for a key.
func (s *Set[K, C]) TryAcquire(key K, opts ...Option) (Lease[C], bool) {
	s.group.mu.Lock()
	defer s.group.unlock()
	if p := s.pools[key]; p != nil {
		return p.take(wanted(opts))
	}
	return Lease[C]{}, false
}

// DiscardIdle is Pool.DiscardIdle for a key.
func (s *Set[K, C]) DiscardIdle(key K, broken func(C) bool) int {
	s.group.mu.Lock()
	p := s.pools[key]
	s.group.unlock()
	if p == nil {
		return 0
	}
	return p.DiscardIdle(broken)
}

// lock returns the pool of key, made if need be, with the group locked.
func (s *Set[K, C]) lock(key K) (*Pool[C], error) {
	g := s.group
	g.rush()
	for {
		if s.closed {
			g.unlock()
			return nil, ErrClosed
		}
		if p := s.pools[key]; p != nil {
			return p, nil
		}
		version := s.version
		g.unlock()
		cfg, hooks, err := s.make(key)
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		if s.closed || s.pools[key] != nil || s.version != version {
			continue
		}
		limit, limited := s.limits[key]
		if !limited {
			limit = math.MaxInt
		}
		p := g.add(cfg, hooks, limit)
		if s.paused != nil && s.paused(key) {
			p.pause() // before anything is dialed
		}
		p.shrink() // its tenant may have less by its Config
		p.serve()
		s.pools[key] = p
	}
}

// make asks for what a pool is made of, and looks at it.
func (s *Set[K, C]) make(key K) (cfg Config, hooks Hooks[C], err error) {
	if cfg, hooks, err = s.open(key); err != nil {
		return cfg, hooks, err
	}
	if err = cfg.Validate(); err != nil {
		return cfg, hooks, err
	}
	return cfg, hooks, hooks.validate()
}

// SetBudget changes how many connections all pools together may have open; 0, or less: none. It takes effect at once and
// does not wait: what is idle or dialing above it is closed or called off, lent ones are closed when released, and
// meanwhile nothing is dialed.
func (s *Set[K, C]) SetBudget(n int) {
	g := s.group
	defer g.lock().unlock()
	g.budget = max(0, n)
	g.shrink()
	g.serve()
}

// Limit lets key have at most n connections open, if its Config.Max is not lower; n < 0 takes the limit away. It holds for
// pools of this key made later, too.
func (s *Set[K, C]) Limit(key K, n int) {
	g := s.group
	defer g.lock().unlock()
	if n < 0 {
		n = math.MaxInt
		delete(s.limits, key)
	} else {
		s.limits[key] = n
	}
	if p := s.pools[key]; p != nil {
		p.cap = n
		p.shrink()
		p.serve()
	}
}

// Configure gives each pool the Config that change makes of its key and present one, as Pool.Configure does, all at one
// moment. If change or Config.Validate fails for one, nothing changes. open must return new Configs before Configure is
// called: a pool being made meanwhile asks again. change is called without locks.
func (s *Set[K, C]) Configure(change func(K, Config) (Config, error)) error {
	g := s.group
	g.mu.Lock()
	s.version++
	old := make(map[K]Config, len(s.pools))
	for key, p := range s.pools {
		old[key] = p.cfg
	}
	g.unlock()
	for key, was := range old {
		cfg, err := change(key, was)
		if err == nil {
			err = cfg.replaces(&was)
		}
		if err != nil {
			return err
		}
		old[key] = cfg
	}
	defer g.lock().unlock()
	for key, cfg := range old {
		if p := s.pools[key]; p != nil {
			p.adopt(cfg)
		}
	}
	for _, p := range g.pools {
		p.shrink()
	}
	g.serve()
	return nil
}

// Forget drops pools that were not acquired from for as long as unused, with their idle connections. Who waits or holds a
// lease keeps its pool. It is for the caller to call now and then, as it knows how many keys there may be.
func (s *Set[K, C]) Forget(unused time.Duration) {
	g := s.group
	defer g.lock().unlock()
	for key, p := range s.pools {
		busy := p.queue.len > 0 || p.tally[lent]+p.tally[dialing]+p.tally[resetting] > 0
		if !busy && g.now-p.used >= unused {
			delete(s.pools, key)
			p.stop()
		}
	}
}

// All are the keys and pools that exist at the call. A pool may be forgotten while it is looked at: it is then closed.
func (s *Set[K, C]) All() iter.Seq2[K, *Pool[C]] {
	s.group.mu.Lock()
	pools := maps.Clone(s.pools)
	s.group.unlock()
	return maps.All(pools)
}

// Stats is the sum over all pools, forgotten ones included, at one moment. Max is the budget, and the peaks are those of
// the whole Set: the most that were lent, and waiting, at one time.
func (s *Set[K, C]) Stats() Stats {
	g := s.group
	defer g.lock().unlock()
	sum := g.past
	for _, p := range g.pools {
		p.report(&sum)
	}
	sum.gauge(&g.tally, g.peaks)
	sum.Waiting, sum.Max, sum.Pools, sum.TenantsFull = g.waiting, g.budget, len(s.pools), g.fullTenants()
	return sum
}

// ResetPeaks begins a new span for the peaks of the Set's Stats; those of its pools go on.
func (s *Set[K, C]) ResetPeaks() {
	g := s.group
	defer g.lock().unlock()
	g.peaks = peaks{g.tally[lent], g.waiting}
}

// Close is Pool.Close for all pools at once.
func (s *Set[K, C]) Close(ctx context.Context) error {
	g := s.group
	g.lock()
	s.closed = true
	clear(s.pools)
	pools := slices.Clone(g.pools)
	for _, p := range pools {
		p.stop()
	}
	g.unlock()
	var err error
	for _, p := range pools {
		if e := p.wait(ctx); e != nil {
			err = e
		}
	}
	return err
}
