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

// These tests run on real time and real CPUs, for the race detector and the proof at each unlock.

// rough is hooks that fail, panic and dawdle now and then, on top of those of w.
func rough(w *world) pool.Hooks[*conn] {
	h := w.hooks()
	dial, shut := h.Dial, h.Close
	h.Dial = func(ctx context.Context) (*conn, error) {
		switch rand.IntN(200) {
		case 0:
			return nil, errRefused
		case 1:
			panic("dial")
		}
		return dial(ctx)
	}
	h.Reset = func(context.Context, *conn) error {
		switch rand.IntN(500) {
		case 0:
			return errors.New("cannot be reset")
		case 1:
			panic("reset")
		}
		return nil
	}
	h.Close = func(c *conn) {
		shut(c)
		if rand.IntN(50) == 0 {
			panic("close")
		}
	}
	return h
}

// dawdle lets others run so many times at most.
func dawdle(most int) {
	for range rand.IntN(most) {
		yield()
	}
}

// rock changes all that can be changed in a Set of the keys 0 to 4, all the time. In the end everybody can be served.
func rock(ctx context.Context, s *pool.Set[int, *conn], budget int) {
	for ctx.Err() == nil {
		dawdle(1000)
		switch rand.IntN(6) {
		case 0:
			s.SetBudget(rand.IntN(budget + 1))
		case 1:
			s.Limit(rand.IntN(5), rand.IntN(10)-1)
		case 2:
			bound(s, rand.IntN(10), rand.IntN(8))
		case 3:
			s.Forget(0)
		default:
			rockPools(s)
		}
	}
	s.SetBudget(budget)
	bound(s, 8, 5)
	for key := range 5 {
		s.Limit(key, -1)
	}
}

func rockPools(s *pool.Set[int, *conn]) {
	for _, p := range s.All() {
		switch rand.IntN(4) {
		case 0:
			p.Retire()
		case 1:
			p.Pause()
			dawdle(300)
			p.Resume()
		case 2:
			p.DiscardIdle(func(*conn) bool { return rand.IntN(2) == 0 })
		}
	}
}

// bound sets what each pool and each tenant may have.
func bound(s *pool.Set[int, *conn], most, tenantMost int) {
	s.Configure(func(_ int, c pool.Config) (pool.Config, error) {
		c.Max, c.TenantMax = most, 0
		if c.Tenant != "" {
			c.TenantMax = tenantMost
		}
		return c, nil
	})
}

func TestUnderStressNoConnectionHasTwoHoldersAndAllAddsUp(t *testing.T) {
	w := new(world)
	const budget = 12
	s := pool.NewSet(budget, func(key int) (pool.Config, pool.Hooks[*conn], error) {
		cfg := eternal(8)
		cfg.MaxIdle, cfg.Min, cfg.MaxWaiting = 6, 1, 40
		if key > 0 {
			cfg.Tenant, cfg.TenantMax = fmt.Sprint("tenant ", key%2), 5
		}
		return cfg, rough(w), nil
	})
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	var owners sync.Map // *conn to *atomic.Int32
	use := func(l pool.Lease[*conn]) {
		n, _ := owners.LoadOrStore(l.Conn(), new(atomic.Int32))
		if owner := n.(*atomic.Int32); owner.Add(1) != 1 {
			t.Error("a connection has two holders")
		} else {
			defer owner.Add(-1)
		}
		if rand.IntN(4) == 0 {
			dawdle(300)
		}
	}
	var asked, answered, hijacked, misused atomic.Uint64
	end := func(l pool.Lease[*conn]) {
		switch rand.IntN(100) {
		case 0:
			l.Discard(errors.New("broken"))
		case 1:
			w.close(l.Conn()) // before its place is free, so that the server's count stays within the budget
			l.Hijack()
			hijacked.Add(1)
		case 2:
			l.Release()
			l.Release()
			misused.Add(1)
		default:
			l.Release()
		}
	}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			for ctx.Err() == nil {
				key := i % 5
				asked.Add(1)
				if rand.IntN(3) > 0 {
					c, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20_000))*time.Microsecond)
					if l, err := s.Acquire(c, key); err == nil {
						use(l)
						end(l)
					}
					cancel()
					answered.Add(1)
					continue
				}
				done := make(chan struct{})
				place := s.AcquireFunc(key, time.Now().Add(time.Duration(rand.IntN(20_000))*time.Microsecond), func(l pool.Lease[*conn], err error) {
					go func() { // a callback hands over
						if err == nil {
							use(l)
							end(l)
						}
						answered.Add(1)
						close(done)
					}()
				})
				if rand.IntN(4) == 0 && place.Leave() {
					answered.Add(1)
					continue
				}
				<-done
			}
		})
	}
	all.Go(func() { rock(ctx, s, budget) })
	all.Wait()

	w.mu.Lock()
	if w.peak > budget {
		t.Errorf("%d open at once, the budget was never above %d", w.peak, budget)
	}
	w.mu.Unlock()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Open != 0 || st.Waiting != 0 || w.live != 0 {
		t.Errorf("after Close: %d open, %d waiting, %d at the server", st.Open, st.Waiting, w.live)
	}
	if st.Dialed != closings(st)+hijacked.Load() || st.Dialed != uint64(len(w.opened)) {
		t.Errorf("%d dialed, %d closed, %d hijacked, %d opened by the server", st.Dialed, closings(st), hijacked.Load(), len(w.opened))
	}
	if asked.Load() != answered.Load() {
		t.Errorf("%d asked, %d were answered", asked.Load(), answered.Load())
	}
	if st.Misuses < misused.Load() {
		t.Errorf("%d second releases, %d counted", misused.Load(), st.Misuses)
	}
	if served := st.Acquired; served == 0 || st.Wait.Count() < served {
		t.Errorf("%d leases, %d waits", served, st.Wait.Count())
	}
	t.Logf("%d asked, %d leases, %d dials, %d timed out, %d refused for the queue", asked.Load(), st.Acquired, st.Dialed, st.TimedOut, st.QueueFull)
}

func TestCloseUnderTraffic(t *testing.T) {
	for range 1000 {
		w := new(world)
		cfg := eternal(3)
		p, err := pool.New(cfg, rough(w))
		if err != nil {
			t.Fatal(err)
		}
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for {
					l, err := p.Acquire(context.Background())
					if errors.Is(err, pool.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					l.Release()
				}
			})
		}
		for p.Stats().Acquired < uint64(rand.IntN(50)) {
			yield()
		}
		if err := p.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		clients.Wait()
		if s := p.Stats(); s.Open != 0 || s.Waiting != 0 || w.live != 0 {
			t.Fatalf("after Close: %d open, %d waiting, %d at the server", s.Open, s.Waiting, w.live)
		}
	}
}

func TestOpenNeverExceedsMaxInAnySnapshot(t *testing.T) {
	w := new(world)
	p, err := pool.New(eternal(4), rough(w))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer stop()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				if l, err := p.Acquire(ctx); err == nil {
					if rand.IntN(20) == 0 {
						l.Discard(nil)
					} else {
						l.Release()
					}
				}
			}
		})
	}
	snapshots := 0
	for ctx.Err() == nil {
		s := p.Stats()
		snapshots++
		if sum := s.Idle + s.Lent + s.Dialing + s.Resetting + s.Closing; s.Open > 4 || s.Open != sum {
			t.Fatalf("%d open, sum %d: %s", s.Open, sum, fmt.Sprintf("%+v", s))
		}
		yield()
	}
	all.Wait()
	if err := p.Close(context.Background()); err != nil || snapshots == 0 {
		t.Error(err, snapshots)
	}
}
