package pool

import (
	"sync"
	"sync/atomic"
	"time"
)

// How often pools are swept, and how coarse the clock is that decides about idle connections. What is only idle is swept
// more seldom: each tick wakes the process, which costs more than the sweep.
const (
	tick     = 250 * time.Millisecond
	slowTick = time.Second
)

// group is pools under one budget: what they share. A Pool of its own is a group of one.
type group[C any] struct {
	mu      sync.Mutex
	now     time.Duration // the coarse clock: at most a tick behind while anything is lent or waits
	fresh   bool          // now was read for who holds the lock
	ticking bool
	pace    time.Duration // of the ticks
	waiting int           // clients, in all pools
	outbox  *waiter[C]    // clients to be told when the lock is given up, the newest first

	party[C]                      // all its pools
	tenants  map[string]*party[C] // those that have a limit

	epoch time.Time    // zero of the group's clock
	exact atomic.Bool  // the coarse clock does not do: clients wait, or ticks are slow
	late  atomic.Int32 // of so many hand-overs more the giver yields, see yield.go

	timer   *time.Timer
	grants  uint64 // places given so far
	waiters sync.Pool

	past  Stats // what forgotten pools have counted
	peaks peaks
}

func newGroup[C any](budget int) *group[C] {
	return &group[C]{party: party[C]{budget: budget}, tenants: make(map[string]*party[C]), epoch: time.Now()}
}

// clock is the time now. It brings the coarse clock up to date, once each time that the lock is held.
func (g *group[C]) clock() time.Duration {
	if !g.fresh {
		g.set(time.Since(g.epoch))
	}
	return g.now
}

// set takes a time over that may have been read before the lock was taken: others were faster perhaps, and time does not go back.
func (g *group[C]) set(now time.Duration) { g.now, g.fresh = max(g.now, now), true }

// lock takes the lock, with a fresh clock. It is read before, so that the lock is held for less time.
func (g *group[C]) lock() *group[C] {
	now := time.Since(g.epoch)
	g.mu.Lock()
	g.set(now)
	return g
}

// rush takes the lock for Acquire or Release, which seldom need the clock unless clients wait.
func (g *group[C]) rush() {
	if g.exact.Load() {
		g.lock()
	} else {
		g.mu.Lock()
	}
}

// unlock gives the lock up, then tells those of the outbox. It reports whether a blocked client was woken. Woken under the
// lock it would queue for the CPU behind those who wait for the lock.
func (g *group[C]) unlock() (handed bool) {
	g.check()
	out := g.outbox
	g.outbox, g.fresh = nil, false
	g.mu.Unlock()
	if out == nil {
		return false
	}
	var first *waiter[C]
	for out != nil { // oldest first
		out, out.next, first = out.next, first, out
	}
	for w := first; w != nil; w = first {
		first = w.next
		if w.deliver == nil {
			handed = true
			w.ready <- struct{}{} // has room: a waiter is answered once
			continue
		}
		deliver, l, err := w.deliver, w.lease, w.failure()
		g.recycle(w)
		deliver(l, err)
	}
	return handed
}

// wake starts the ticks, which go on while anything is open or waits, or has them go on faster.
func (g *group[C]) wake() {
	if g.ticking && g.pace == tick {
		return
	}
	g.ticking = true
	g.clock()
	g.step(tick)
}

// step has the next tick come after so much time.
func (g *group[C]) step(pace time.Duration) {
	g.pace = pace
	g.exact.Store(g.waiting > 0 || pace > tick)
	arm(&g.timer, pace, g.sweep)
}

// arm starts a timer, made at its first use.
func arm(t **time.Timer, after time.Duration, ring func()) {
	if *t == nil {
		*t = time.AfterFunc(after, ring)
	} else {
		(*t).Reset(after)
	}
}

// serve serves all pools.
func (g *group[C]) serve() {
	for _, p := range g.pools {
		p.serve()
	}
}

// sweep keeps the coarse clock, closes what was idle or open for too long, and tops pools up.
func (g *group[C]) sweep() {
	defer g.lock().unlock()
	for _, p := range g.pools {
		p.sweep()
	}
	g.serve()
	switch g.ticking = g.open() > 0 || g.waiting > 0; {
	case g.ticking && g.rests():
		g.step(slowTick)
	case g.ticking:
		g.step(tick)
	}
}

// rests reports whether all that is open is idle, and nothing was lent lately.
func (g *group[C]) rests() bool {
	if g.waiting > 0 || g.open() > g.tally[idle] {
		return false
	}
	for _, p := range g.pools {
		if g.now-p.used < slowTick {
			return false
		}
	}
	return true
}
