package pool

import "time"

// A client woken by a release sits behind the releaser on its CPU. If that computes on, the connection idles meanwhile, unless
// another CPU is free: so the releaser should yield. If it is about to wait for something itself, as most are, yielding is in vain,
// and costs a fifth of a hand-over. Nobody knows which it will do, but the client knows, when it runs, how long it was kept: one in
// a few looks at the clock, and once one is kept for longer than tardy, the next releasers yield.

const (
	tardy  = 20 * time.Microsecond
	asked  = 8 // one client in so many looks
	yields = 64
)

// woken looks how long the client was kept that has just been lent l.
func (g *group[C]) woken(l Lease[C]) {
	if l.entry != nil && time.Since(g.epoch)-l.entry.lentAt > tardy {
		g.late.Store(yields)
	}
}

// hasty reports whether a releaser who woke a client is to yield.
func (g *group[C]) hasty() bool { return g.late.Load() > 0 && g.late.Add(-1) >= 0 }
