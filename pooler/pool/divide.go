package pool

import (
	"cmp"
	"slices"
	"time"
)

// How a budget is divided, and what a tenant may have.
//
// No shares are computed. Each place that becomes free goes to the hungry pool that holds the fewest connections, and of
// two that hold as many to the one that was given a place longer ago. Pouring places one at a time into the lowest
// vessel is what water-filling means: a pool stops rising when its clients are served, and what it leaves goes to the others.
//
// Places become free in three ways. A connection closes. An idle connection yields: that of a pool which holds more than
// the hungry one does, or which has left it idle for a turn. And a released connection is claimed, although clients of
// its own pool wait: when its pool holds at least two more than the hungry one; or, as there may be more hungry pools than
// places, when the hungry one holds nothing and the connection had its turn. The first rule cannot undo itself, as it
// brings the two closer together; the second can at most once a turn. So connections are not exchanged without end.

// turn is how long a pool keeps its only connection while others hold nothing and wait.
const turn = 500 * time.Millisecond

// poorer orders hungry pools: who comes first gets the next place.
func poorer[C any](a, b *Pool[C]) int {
	return cmp.Or(cmp.Compare(a.held(), b.held()), cmp.Compare(a.granted, b.granted))
}

// divide dials for the hungry pools, the poorest first, as far as the budget goes, and then makes idle connections yield, in the
// group and among those of the tenant of served, with which something happened.
func (g *group[C]) divide(served *Pool[C]) {
	for g.spare() > 0 {
		p := g.poorest()
		if p == nil {
			break
		}
		p.grow()
	}
	if g.tally[idle] == 0 {
		return
	}
	g.reclaim()
	if t := served.tenant(); t != nil && t.tally[idle] > 0 {
		t.reclaim()
	}
}

// poorest is the hungry pool that gets the next place; nil if none can use it now.
func (g *group[C]) poorest() (poorest *Pool[C]) {
	for _, p := range g.hungry {
		if (poorest == nil || poorer(p, poorest) < 0) && p.need(&g.party) > 0 {
			poorest = p
		}
	}
	return poorest
}

// reclaim makes idle connections yield their places to hungry pools. Places that are on their way back already count first.
func (t *party[C]) reclaim() {
	slices.SortFunc(t.hungry, poorer)
	coming := t.budget - t.held()
	for _, p := range t.hungry {
		for i := range p.need(t) {
			if coming > 0 {
				coming--
				continue
			}
			rich := t.victim(p.held() + i)
			if rich == nil {
				break
			}
			rich.shut(rich.popCold(), Yielded)
		}
	}
}

// victim is the pool whose coldest idle connection yields to a hungry pool that holds so many; nil if none does.
func (t *party[C]) victim(holds int) (victim *Pool[C]) {
	for _, p := range t.pools {
		if len(p.idle) == 0 || p.wanting() > 0 && !p.paused {
			continue
		}
		if p.held() <= holds && p.group.now-p.idle[0].since < turn {
			continue
		}
		if victim == nil || p.held() > victim.held() {
			victim = p
		}
	}
	return victim
}

// claimed reports whether the place of e, which comes back to a hungry pool, is due to a poorer one in one of its parties.
func (p *Pool[C]) claimed(e *entry[C]) bool {
	for _, t := range p.parties {
		if t.claimed(e) {
			return true
		}
	}
	return false
}

func (t *party[C]) claimed(e *entry[C]) bool {
	if len(t.hungry) < 2 || t.spare() > 0 {
		return false
	}
	coming := t.budget - t.held()
	for _, p := range t.hungry {
		if p == e.pool {
			continue
		}
		more := e.pool.held() - p.held()
		if more >= 2 || more == 1 && p.held() == 0 && p.group.now-e.born >= turn {
			coming -= min(p.need(t), max(1, (more+coming)/2)) // so many that both hold as many in the end
		}
		if coming < 0 {
			return true
		}
	}
	return false
}

// shrink brings what is open down to the budget, except what is lent, taking from the pools that hold the most.
func (t *party[C]) shrink() {
	for t.over() {
		var richest *Pool[C]
		for _, p := range t.pools {
			if p.tally[idle]+p.tally[dialing] > 0 && (richest == nil || p.held() > richest.held()) {
				richest = p
			}
		}
		if richest == nil || !richest.callOff() {
			return
		}
	}
}
