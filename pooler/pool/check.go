//go:build poolcheck

package pool

import (
	"fmt"
	"slices"
)

// proof is what check remembers of a pool or group: what was open at the last unlock.
type proof struct{ open int }

// holds proves that open has not risen above the limit; after the limit fell it may be above, but not rise.
func (k *proof) holds(who string, open, limit int) {
	if open > max(limit, k.open) {
		panic(fmt.Sprintf("poolcheck: %s: %d open, %d before, limit %d", who, open, k.open, limit))
	}
	k.open = open
}

// check proves at each unlock what the package promises. It panics otherwise, and unlocks before, so that a test that cleans
// up after itself ends.
func (g *group[C]) check() {
	defer func() {
		if broken := recover(); broken != nil {
			g.mu.Unlock()
			panic(broken)
		}
	}()
	waiting, lodged := 0, 0
	for _, p := range g.pools {
		p.check()
		waiting += p.queue.len
		if t := p.tenant(); t != nil {
			must(t == g.tenants[p.cfg.Tenant], "a pool is not with its tenant %q", p.cfg.Tenant)
			lodged++
		}
	}
	must(waiting == g.waiting, "%d wait in the pools, %d in the group", waiting, g.waiting)
	g.party.check("group")
	for name, t := range g.tenants {
		t.check("tenant " + name)
		must(len(t.pools) > 0, "tenant %s has no pools", name)
		lodged -= len(t.pools)
	}
	must(lodged == 0, "%d pools more know their tenant than tenants know pools", lodged)
	for _, p := range g.hungry {
		must(p.alive(), "nobody will serve %d waiters: pool %v of %d, group %v of %d", p.queue.len, p.tally, p.allowed(), g.tally, g.budget)
	}
	must(g.ticking || g.open() == 0 && g.waiting == 0, "no tick is armed")
	must(g.pace <= tick || g.waiting == 0 && g.tally[lent] == 0, "ticks are slow, with %d lent and %d waiting", g.tally[lent], g.waiting)
	must(g.pace <= tick || g.exact.Load(), "the coarse clock is used while ticks are slow")
}

// check proves what concerns the pools of one party.
func (t *party[C]) check(who string) {
	var sum tally
	hungry := 0
	for _, p := range t.pools {
		for s, n := range p.tally {
			sum[s] += n
		}
		if p.queue.len > 0 {
			must(slices.Contains(t.hungry, p), "%s: a hungry pool is not listed", who)
			hungry++
		}
	}
	must(sum == t.tally, "%s: counts of the pools %v, its own %v", who, sum, t.tally)
	must(hungry == len(t.hungry), "%s: %d hungry pools, %d listed", who, hungry, len(t.hungry))
	t.proof.holds(who, t.open(), t.budget)
}

// check proves what concerns one pool.
func (p *Pool[C]) check() {
	var n tally
	common := 0
	for e := range p.all {
		must(e.pool == p && e.state != gone, "a connection of state %d is listed", e.state)
		n[gone]--
		n[e.state]++
		if e.common {
			must(e.state == lent, "a connection of state %d is counted as lent", e.state)
			common++
		}
	}
	must(n == p.tally, "counts of the connections %v, of the pool %v", n, p.tally)
	must(common == p.common, "%d leases of lower classes, counted %d", common, p.common)
	must(len(p.idle) == p.tally[idle], "%d in the stack, %d idle", len(p.idle), p.tally[idle])
	for i, e := range p.idle {
		must(e.state == idle, "a connection of state %d is in the stack", e.state)
		must(i == 0 || p.idle[i-1].since <= e.since, "the stack is not ordered by warmth")
		must(e.generation == p.generation, "a retired connection is idle")
	}
	must(p.tally[idle] <= max(0, p.cfg.MaxIdle), "%d idle, MaxIdle %d", p.tally[idle], p.cfg.MaxIdle)
	must(p.tally[idle] == 0 || p.held() <= p.limit(), "%d idle of %d held, limit %d", p.tally[idle], p.held(), p.limit())
	length := 0
	for i := range p.queue.lines {
		length += p.checkLine(uint8(i), &p.queue.lines[i])
	}
	must(length == p.queue.len, "%d in the queue, length %d", length, p.queue.len)
	p.proof.holds("pool", p.open(), p.limit())
}

// checkLine proves what concerns the waiters of one class, and counts them.
func (p *Pool[C]) checkLine(class uint8, l *line[C]) (length int) {
	for w := l.head; w != nil; w = w.next {
		length++
		must(w.queued && w.pool == p && w.class == class, "a waiter of the queue does not know it")
		must(w.next == nil && w == l.tail || w.next != nil && w.next.prev == w && w.seq < w.next.seq, "the queue is broken")
	}
	must(length == l.len, "%d of class %d, length %d", length, class, l.len)
	return length
}

// alive reports whether something is under way that ends and then serves the waiters of p.
func (p *Pool[C]) alive() bool {
	g := p.group
	switch {
	case p.paused || p.limit() == 0 || g.budget == 0:
		return true // somebody said to wait
	case p.tally[idle] > 0 && p.tally[resetting] < p.wanting():
		return false // what is idle must be lent or, to be lent, be checked
	case p.tally[lent]+p.tally[dialing]+p.tally[resetting]+p.tally[closing] > 0 || p.dials.backoff:
		return true
	}
	return slices.ContainsFunc(p.parties, func(t *party[C]) bool {
		return t.spare() <= 0 && t.tally[lent]+t.tally[dialing]+t.tally[resetting]+t.tally[closing] > 0
	})
}

func must(ok bool, format string, args ...any) {
	if !ok {
		panic("poolcheck: " + fmt.Sprintf(format, args...))
	}
}
