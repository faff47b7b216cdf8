package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// caller is a client of AcquireFunc.
type caller struct {
	place   pool.Place[*conn]
	answers atomic.Int32
	lease   pool.Lease[*conn]
	err     error
}

// callers are clients that one goroutine asks for, as an event loop does. Only deliver runs elsewhere.
type callers struct {
	t        *testing.T
	set      *pool.Set[int, *conn]
	waiting  map[*caller]struct{}
	answered chan *caller // has room for all that wait
	gone     []*caller    // who left

	asked, served, cancelled, gaveUp, late, failed int
}

const (
	atOnce   = 40               // clients of one goroutine that wait
	patience = 20 * time.Second // for what must not be lost
)

func newCallers(t *testing.T, s *pool.Set[int, *conn]) *callers {
	return &callers{t: t, set: s, waiting: make(map[*caller]struct{}), answered: make(chan *caller, atOnce)}
}

// run asks until ctx is done, and then waits for the answers that are due.
func (cs *callers) run(ctx context.Context) {
	for ctx.Err() == nil {
		switch {
		case rand.IntN(16) == 0:
			cs.leave()
		case len(cs.waiting) < atOnce:
			cs.ask()
		default:
			select {
			case c := <-cs.answered:
				cs.end(c)
			case <-ctx.Done():
			}
		}
	}
	lost := time.After(patience)
	for len(cs.waiting) > 0 {
		select {
		case c := <-cs.answered:
			cs.end(c)
		case <-lost:
			cs.t.Errorf("%d clients are never answered: %+v", len(cs.waiting), cs.set.Stats())
			return
		}
	}
}

func (cs *callers) ask() {
	c := new(caller)
	cs.asked++
	cs.waiting[c] = struct{}{}
	var deadline time.Time
	if rand.IntN(2) == 0 {
		deadline = time.Now().Add(time.Duration(rand.IntN(5000)) * time.Microsecond)
	}
	c.place = cs.set.AcquireFunc(rand.IntN(5), deadline, func(l pool.Lease[*conn], err error) {
		if c.answers.Add(1) > 1 {
			cs.t.Error("a client is answered twice")
			return
		}
		c.lease, c.err = l, err
		if rand.IntN(16) == 0 {
			l.Release() // from within: the next is answered before this returns
		}
		cs.answered <- c
	}, pool.Class(rand.IntN(4)), pool.Prefer(rand.Uint64N(3)))
}

// leave takes somebody's place away, unless the answer is on its way.
func (cs *callers) leave() {
	for c := range cs.waiting {
		left, counts := false, &cs.cancelled
		if rand.IntN(2) == 0 {
			left = c.place.Leave()
		} else {
			_, left = c.place.GiveUp(context.DeadlineExceeded)
			counts = &cs.gaveUp
		}
		if left {
			*counts++
			delete(cs.waiting, c)
			cs.gone = append(cs.gone, c)
		}
		return
	}
}

// end takes an answer.
func (cs *callers) end(c *caller) {
	delete(cs.waiting, c)
	switch {
	case c.err == nil:
		cs.served++
	case errors.As(c.err, new(*pool.WaitError)):
		cs.late++
	default:
		cs.failed++
	}
	switch {
	case !c.lease.Valid():
	case rand.IntN(50) == 0:
		c.lease.Discard(errors.New("broken"))
	default:
		c.lease.ReleaseAs(rand.Uint64N(3))
	}
	if c.place.Leave() {
		cs.t.Error("who was answered has left")
	}
}

func TestUnderStressWhoWaitsIsAnsweredOnceOrHasLeft(t *testing.T) {
	w := new(world)
	hooks := rough(w)
	dial := hooks.Dial
	hooks.Dial = func(ctx context.Context) (*conn, error) {
		switch rand.IntN(60) {
		case 0:
			return nil, errFinal
		case 1:
			return nil, errTooMany
		}
		return dial(ctx)
	}
	hooks.Final = func(err error) bool { return errors.Is(err, errFinal) }
	hooks.Refused = func(err error) bool { return errors.Is(err, errTooMany) }
	const budget = 6
	s := pool.NewSet(budget, func(key int) (pool.Config, pool.Hooks[*conn], error) {
		cfg := eternal(8)
		cfg.Queue.Adaptive, cfg.MaxWaiting = key == 1, 100
		if key == 2 {
			cfg.Reserve = 1
		}
		if key > 2 {
			cfg.Tenant, cfg.TenantMax = fmt.Sprint("tenant ", key%2), 5
		}
		return cfg, hooks, nil
	})
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	var all sync.WaitGroup
	groups := make([]*callers, 6)
	for i := range groups {
		groups[i] = newCallers(t, s)
		all.Go(func() { groups[i].run(ctx) })
	}
	all.Go(func() { rock(ctx, s, budget) })
	all.Wait()
	closing, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Close(closing); err != nil {
		t.Fatal(err)
	}
	mustAddUp(t, groups, s.Stats())
}

// mustAddUp fails the test unless those who left were told nothing, and the pool has counted as its clients have.
func mustAddUp(t *testing.T, groups []*callers, st pool.Stats) {
	t.Helper()
	var sum callers
	for _, cs := range groups {
		sum.asked += cs.asked
		sum.served += cs.served
		sum.cancelled += cs.cancelled
		sum.gaveUp += cs.gaveUp
		sum.late += cs.late
		sum.failed += cs.failed
		for _, c := range cs.gone {
			if c.answers.Load() > 0 {
				t.Fatal("a client that has left is answered")
			}
		}
	}
	if total := sum.served + sum.cancelled + sum.gaveUp + sum.late + sum.failed; total != sum.asked {
		t.Errorf("%d asked, %d were answered or left", sum.asked, total)
	}
	if int(st.Acquired) != sum.served || int(st.Cancelled) != sum.cancelled || int(st.TimedOut) != sum.gaveUp+sum.late {
		t.Errorf("the pool has lent %d, %d withdrew, %d timed out; its clients say %d, %d, %d",
			st.Acquired, st.Cancelled, st.TimedOut, sum.served, sum.cancelled, sum.gaveUp+sum.late)
	}
	t.Logf("%d asked: %d served, %d withdrew, %d gave up, %d late, %d failed; %d dials, %d failed",
		sum.asked, sum.served, sum.cancelled, sum.gaveUp, sum.late, sum.failed, st.Dialed, st.DialFailed)
}
