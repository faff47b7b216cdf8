package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// Detail is what takes a look at every client: for who asks now and then.
type Detail struct {
	Pairs    []PairStats // the first that were served come first
	Pins     map[session.Reason]Pins
	Consoles int // clients at the console
}

// PairStats are the times of one Pair since the Engine was made.
type PairStats struct {
	Pair
	Wait        Histogram // for a server connection, of all transactions; those that were served at once waited 0
	Dial        Histogram // of dials that succeeded, all endpoints that were tried for one included
	Query       Histogram // like Transaction, of what is sent to the server until all is answered
	Transaction Histogram // of one in 16, which counts for 16; in it the time that the client takes
}

// Pins are the clients that are pinned for one reason now.
type Pins struct {
	Clients int
	Oldest  time.Duration
}

// Detail returns what there is now.
func (e *Engine) Detail() Detail {
	d := Detail{Pins: make(map[session.Reason]Pins), Consoles: e.console.Sessions()}
	all := e.traffic.list()
	slices.SortStableFunc(all, func(a, b *traffic) int { return cmp.Compare(a.order, b.order) })
	for _, t := range all {
		d.Pairs = append(d.Pairs, t.load())
	}
	e.survey(func(cl *client) {
		if cl.pinned == 0 {
			return
		}
		reason := cl.machine.Pinned()
		pins := d.Pins[reason]
		d.Pins[reason] = Pins{Clients: pins.Clients + 1, Oldest: max(pins.Oldest, cl.pinned.age())}
	})
	return d
}

func (t *traffic) load() PairStats {
	waited, assigned := t.waited.Load(), t.assigned.Load()
	wait := t.wait.load()
	wait.Counts[0] += max(assigned, waited) - waited // served at once
	return PairStats{
		Pair: t.pair, Wait: wait, Dial: t.dial.load(), Query: t.queryTimes.load(), Transaction: t.transactionTimes.load(),
	}
}

func (h *histogram) load() Histogram {
	out := Histogram{Bounds: pool.Bounds(), Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}
