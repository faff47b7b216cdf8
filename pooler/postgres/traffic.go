package postgres

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

const (
	// maxPairs bounds how many pairs are counted apart. What is beyond is counted together, as Other.
	maxPairs = 1000

	// timedEvery is how many transactions of a pair there are to one that is timed: reading the clock for each would cost
	// more than counting them.
	timedEvery = 16
)

// Other is the name of the database and of the user of all pairs that are too many to be counted apart.
const Other = "*"

// Pair is what clients and server connections are counted by: names as the server knows them.
type Pair struct{ Database, User string }

func (k key) pair() Pair { return Pair{k.database, k.user} }

// traffic counts what passes for one Pair. It only rises.
type traffic struct {
	pair  Pair
	order int // in which pairs came

	logins, assigned, waited     atomic.Uint64 // waited: of assigned, those after a wait
	queries, transactions, begun atomic.Uint64
	refused, received, sent      atomic.Uint64
	parses, serverParses, binds  atomic.Uint64

	wait, dial                   histogram // wait: of those who had to
	queryTimes, transactionTimes histogram // of one in timedEvery transactions, which counts for those it stands for
}

// traffics are the counts of all pairs that were ever served.
type traffics struct {
	mu    sync.Mutex
	all   map[Pair]*traffic
	other traffic
}

func (t *traffics) init() {
	t.all = make(map[Pair]*traffic)
	t.other.pair, t.other.order = Pair{Other, Other}, maxPairs
}

// of returns the counts of a pair that the server is known to have.
func (t *traffics) of(p Pair) *traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.all[p]
	if known == nil && len(t.all) >= maxPairs {
		return &t.other
	}
	if known == nil {
		known = &traffic{pair: p, order: len(t.all)}
		t.all[p] = known
	}
	return known
}

// list returns the counts of all pairs, sorted, Other at the end if there is one.
func (t *traffics) list() []*traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*traffic, 0, len(t.all)+1)
	for _, one := range t.all {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *traffic) int {
		if c := strings.Compare(a.pair.Database, b.pair.Database); c != 0 {
			return c
		}
		return strings.Compare(a.pair.User, b.pair.User)
	})
	if len(list) == maxPairs {
		list = append(list, &t.other)
	}
	return list
}

// count moves what a session has counted to the sums.
func (t *traffic) count(c *session.Counts) {
	move(&c.Queries, &t.queries)
	move(&c.Transactions, &t.transactions)
	move(&c.Refused, &t.refused)
	move(&c.Parses, &t.parses)
	move(&c.ServerParses, &t.serverParses)
	move(&c.Binds, &t.binds)
}

// move adds n to a sum, and makes it 0, as most are already.
func move(n *uint32, to *atomic.Uint64) {
	if *n > 0 {
		to.Add(uint64(*n))
		*n = 0
	}
}

// addTo adds to the sums of all pairs.
func (t *traffic) addTo(c *Counters) {
	c.Logins += t.logins.Load()
	c.Queries += t.queries.Load()
	c.Transactions += t.transactions.Load()
	c.Refused += t.refused.Load()
	c.BytesReceived += t.received.Load()
	c.BytesSent += t.sent.Load()
	c.Parses += t.parses.Load()
	c.ServerParses += t.serverParses.Load()
	c.Binds += t.binds.Load()
}

// sawWait counts a wait for a server connection.
func (t *traffic) sawWait(d time.Duration, served bool) {
	t.wait.observe(d, 1)
	if served {
		t.waited.Add(1)
	}
}

// stopwatch times the transactions of one client, of those that are to be timed.
type stopwatch struct {
	transaction, query moment // their beginnings
	weight             uint32 // how many transactions the one under way stands for; 0: it is not timed
	phase              session.Phase
}

// see notes whose turn it is now. It reads the clock only in a transaction that is timed.
func (w *stopwatch) see(t *traffic, phase session.Phase) {
	was := w.phase
	if phase == was {
		return
	}
	w.phase = phase
	if was == session.Idle {
		w.weight = 0
		if n := t.begun.Add(1); n%timedEvery == 1 {
			w.weight = uint32(min(n, timedEvery))
		}
	}
	if w.weight > 0 {
		w.read(t, was, phase)
	}
}

func (w *stopwatch) read(t *traffic, was, phase session.Phase) {
	now := now()
	if was == session.Idle {
		w.transaction = now
	}
	switch session.Running {
	case phase:
		w.query = now
	case was:
		t.queryTimes.observe(now.sub(w.query), uint64(w.weight))
	}
	if phase == session.Idle {
		t.transactionTimes.observe(now.sub(w.transaction), uint64(w.weight))
	}
}

// histogram is a pool.Histogram that many may count in at once.
type histogram struct {
	counts [len(pool.Histogram{}.Counts)]atomic.Uint64
	sum    atomic.Int64
}

// observe counts one duration as often as weight says.
func (h *histogram) observe(d time.Duration, weight uint64) {
	h.counts[pool.Bucket(d)].Add(weight)
	h.sum.Add(int64(max(0, d)) * int64(weight))
}
