package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/pool"
)

// bubbleSet runs a test of a Set whose keys are strings in fake time.
func bubbleSet(t *testing.T, budget int, cfg pool.Config, test func(t *testing.T, w *world, s *pool.Set[string, *conn])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := new(world)
		s := pool.NewSet(budget, func(string) (pool.Config, pool.Hooks[*conn], error) { return cfg, w.hooks(), nil })
		defer func() {
			closeNow(s.Close)
			if w.live != 0 {
				t.Errorf("%d connections are left open after Close", w.live)
			}
			if st := s.Stats(); st.Open != 0 || st.Dialed != closings(st) {
				t.Errorf("after Close %d are open, %d were dialed and %d closed", st.Open, st.Dialed, closings(st))
			}
		}()
		test(t, w, s)
	})
}

func closings(s pool.Stats) uint64 {
	return s.ClosedIdle + s.ClosedAge + s.ClosedBroken + s.ClosedSurplus + s.ClosedRetired + s.ClosedYielded + s.ClosedShutdown
}

// of is the acquirer of a key.
func of(s *pool.Set[string, *conn], key string) acquirer {
	return func(ctx context.Context) (pool.Lease[*conn], error) { return s.Acquire(ctx, key) }
}

func TestABudgetHoldsForAllKeysTogether(t *testing.T) {
	bubbleSet(t, 3, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		a, b, c := ask(of(s, "a"), 0), ask(of(s, "b"), 0), ask(of(s, "b"), 0)
		d := ask(of(s, "c"), 0)
		mustServe(t, a, b, c)
		mustWait(t, d)
		if st := s.Stats(); st.Open != 3 || st.Lent != 3 || st.Waiting != 1 || st.Max != 3 || st.Pools != 3 {
			t.Errorf("%+v", st)
		}
		b.lease.Release()
		synctest.Wait()
		mustServe(t, d) // b had two, and nobody of b waits
	})
}

func TestABudgetOfZeroLendsAndDialsNothing(t *testing.T) {
	bubbleSet(t, 0, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		a, b := ask(of(s, "a"), 0), ask(of(s, "b"), time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		mustWait(t, a)
		const want = "pool: no connection after 1m0s: 0 of 0 open, 0 clients ahead: context deadline exceeded"
		if w.dialed() != 0 || b.failed() == nil || b.failed().Error() != want {
			t.Fatalf("%d dials; got %v, want %s", w.dialed(), b.failed(), want)
		}
		s.SetBudget(1)
		synctest.Wait()
		mustServe(t, a)
		s.SetBudget(-5) // a mistake must not mean no limit
		if st := s.Stats(); st.Lent != 1 || st.Max != 0 {
			t.Fatalf("%d lent, budget %d; want 1, 0", st.Lent, st.Max)
		}
		a.lease.Release()
		synctest.Wait()
		if st := s.Stats(); st.Open != 0 {
			t.Errorf("%d open, want 0", st.Open)
		}
	})
}

func TestWhenTheBudgetFallsIdleAndDialingGoAtOnceAndLentAtRelease(t *testing.T) {
	bubbleSet(t, 6, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		a, b, c, d := ask(of(s, "a"), 0), ask(of(s, "a"), 0), ask(of(s, "b"), 0), ask(of(s, "b"), 0)
		d.lease.Release()
		w.set(func() { w.manual = true })
		e := ask(of(s, "c"), 0)
		if st := s.Stats(); st.Lent != 3 || st.Idle != 1 || st.Dialing != 1 {
			t.Fatalf("%+v", st)
		}
		s.SetBudget(2)
		synctest.Wait()
		if st := s.Stats(); st.Open != 3 || st.Lent != 3 {
			t.Fatalf("%d open of which %d lent, want the three that are lent", st.Open, st.Lent)
		}
		mustWait(t, e)
		for _, step := range []struct {
			release *client
			open    int
		}{{a, 2}, {c, 2}} { // the second frees a place for e: dialing
			step.release.lease.Release()
			synctest.Wait()
			if st := s.Stats(); st.Open != step.open {
				t.Fatalf("%d open, want %d", st.Open, step.open)
			}
		}
		w.endDial(nil)
		mustServe(t, b, e)
	})
}

func TestIdleConnectionsOfOneKeyDoNotTakeTheBudgetFromAnother(t *testing.T) {
	bubbleSet(t, 4, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		var rich []*client
		for range 4 {
			rich = append(rich, ask(of(s, "rich"), 0))
		}
		for _, c := range rich {
			c.lease.Release()
		}
		a, b := ask(of(s, "poor"), 0), ask(of(s, "poor"), 0)
		mustServe(t, a, b)
		if st := s.Stats(); st.ClosedYielded != 2 || st.Idle != 2 || w.peak != 4 {
			t.Errorf("%d yielded, %d idle, at most %d open; want 2, 2, 4", st.ClosedYielded, st.Idle, w.peak)
		}
	})
}

func TestAnIdleConnectionYieldsToARicherKeyOnlyAfterATurn(t *testing.T) {
	bubbleSet(t, 3, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "rich"), 0)
		ask(of(s, "rich"), 0)
		ask(of(s, "poor"), 0).lease.Release()
		c := ask(of(s, "rich"), 0)
		time.Sleep(300 * time.Millisecond)
		mustWait(t, c)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, c)
	})
}

func TestASmallKeyIsNotStarvedByABigOne(t *testing.T) {
	for _, c := range []struct {
		budget, big, small, keys int
		least                    float64 // of the big key's leases, what a small key gets
		longest                  time.Duration
	}{
		{budget: 4, big: 50, small: 1, keys: 1, least: 0.3, longest: 50 * time.Millisecond},
		{budget: 4, big: 50, small: 2, keys: 2, least: 0.49, longest: 50 * time.Millisecond},
		{budget: 10, big: 100, small: 100, keys: 2, least: 0.74, longest: 500 * time.Millisecond},
		// One connection goes to and fro: it stays a turn with who has more to do, and its one client waits as long.
		{budget: 1, big: 50, small: 1, keys: 1, least: 0.01, longest: 600 * time.Millisecond},
		{budget: 2, big: 20, small: 3, keys: 6, least: 0.95, longest: 2 * time.Second},
	} {
		name := fmt.Sprintf("%d clients and %d keys of %d on %d connections", c.big, c.keys, c.small, c.budget)
		t.Run(name, func(t *testing.T) {
			bubbleSet(t, c.budget, eternal(100), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
				w.dialFor = 20 * time.Millisecond
				load := newLoad(s)
				load.start("big", c.big)
				time.Sleep(5 * time.Second)
				for i := range c.keys {
					load.start(fmt.Sprint("small", i), c.small)
				}
				load.forget()
				time.Sleep(20 * time.Second)
				load.stop()
				for i := range c.keys {
					key := fmt.Sprint("small", i)
					if got := float64(load.served[key]) / float64(load.served["big"]); got < c.least {
						t.Errorf("%s got %.2f of what big got, want %.2f", key, got, c.least)
					}
					if load.longest[key] > c.longest {
						t.Errorf("a client of %s waited %v, want at most %v", key, load.longest[key], c.longest)
					}
				}
				if w.peak > c.budget {
					t.Errorf("%d open at once, budget %d", w.peak, c.budget)
				}
				if w.dialed() > 150 {
					t.Errorf("%d dials in 25 s: connections are exchanged without end", w.dialed())
				}
			})
		})
	}
}

func TestKeysThatShareOnePlaceAreServedEvenIfADialTakesLongerThanATurn(t *testing.T) {
	bubbleSet(t, 1, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		w.dialFor = 3 * time.Second
		load := newLoad(s)
		for _, key := range []string{"a", "b", "c"} {
			load.start(key, 5)
		}
		time.Sleep(time.Minute)
		load.stop()
		for _, key := range []string{"a", "b", "c"} {
			if load.served[key] < 5 {
				t.Errorf("%s got %d leases in a minute", key, load.served[key])
			}
		}
	})
}

// load is clients that acquire, hold for 10 ms and release, again and again. All run in one bubble, one after the other.
type load struct {
	set     *pool.Set[string, *conn]
	served  map[string]int
	longest map[string]time.Duration
	ctx     context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex
}

func newLoad(s *pool.Set[string, *conn]) *load {
	l := &load{set: s, served: map[string]int{}, longest: map[string]time.Duration{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *load) start(key string, clients int) {
	for range clients {
		go func() {
			for l.ctx.Err() == nil {
				begin := time.Now()
				lease, err := l.set.Acquire(l.ctx, key)
				if err != nil {
					return
				}
				l.mu.Lock()
				l.served[key]++
				l.longest[key] = max(l.longest[key], time.Since(begin))
				l.mu.Unlock()
				time.Sleep(10 * time.Millisecond)
				lease.Release()
			}
		}()
	}
}

// forget begins the counts again.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.served)
}

func (l *load) stop() {
	l.cancel()
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestLimitHoldsForOneKey(t *testing.T) {
	bubbleSet(t, 10, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		s.Limit("a", 1) // before its pool is made
		a, b := ask(of(s, "a"), 0), ask(of(s, "a"), 0)
		mustServe(t, a)
		mustWait(t, b)
		s.Limit("a", 2)
		synctest.Wait()
		mustServe(t, b)
		c := ask(of(s, "a"), 0)
		mustWait(t, c)
		s.Limit("a", -1)
		synctest.Wait()
		mustServe(t, c)
	})
}

func TestConfigureChangesAllPoolsAtOnceOrNone(t *testing.T) {
	bubbleSet(t, 10, eternal(1), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "a"), 0)
		ask(of(s, "b"), 0)
		a, b := ask(of(s, "a"), 0), ask(of(s, "b"), 0)
		bad := errors.New("no")
		for _, change := range []func(string, pool.Config) (pool.Config, error){
			func(k string, c pool.Config) (pool.Config, error) {
				c.Max = 2
				if k == "b" {
					return c, bad
				}
				return c, nil
			},
			func(k string, c pool.Config) (pool.Config, error) {
				c.Max = 2
				if k == "b" {
					c.Min = -1
				}
				return c, nil
			},
		} {
			if err := s.Configure(change); err == nil {
				t.Fatal("a bad change was accepted")
			}
			synctest.Wait()
			mustWait(t, a, b)
		}
		err := s.Configure(func(_ string, c pool.Config) (pool.Config, error) {
			c.Max = 2
			return c, nil
		})
		synctest.Wait()
		if err != nil {
			t.Fatal(err)
		}
		mustServe(t, a, b)
	})
}

func TestAPoolMadeWhileConfigureRunsIsMadeOfTheNewConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(world)
		most := 1
		gate := make(chan struct{})
		s := pool.NewSet(10, func(string) (pool.Config, pool.Hooks[*conn], error) {
			cfg := eternal(most)
			<-gate
			return cfg, w.hooks(), nil
		})
		defer closeNow(s.Close)
		a := ask(of(s, "a"), 0) // open has read the old Config
		most = 2
		s.Configure(func(_ string, c pool.Config) (pool.Config, error) { return c, nil })
		close(gate)
		synctest.Wait()
		b := ask(of(s, "a"), 0)
		mustServe(t, a, b)
	})
}

func TestForgetDropsWhatIsUnused(t *testing.T) {
	bubbleSet(t, 10, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "idle"), 0).lease.Release()
		held := ask(of(s, "held"), 0)
		time.Sleep(time.Hour)
		ask(of(s, "fresh"), 0).lease.Release()
		s.Forget(time.Minute)
		synctest.Wait()
		var keys []string
		for key := range s.All() {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if st := s.Stats(); fmt.Sprint(keys) != "[fresh held]" || st.Open != 2 || st.Acquired != 3 || st.Dialed != 3 || st.Pools != 2 {
			t.Errorf("kept %v, %d open, %d acquired in sum; want fresh and held, 2, 3", keys, st.Open, st.Acquired)
		}
		held.lease.Release()
		again := ask(of(s, "idle"), 0)
		mustServe(t, again)
	})
}

func TestAForgottenPoolIsClosedForWhoKeptIt(t *testing.T) {
	bubbleSet(t, 10, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "a"), 0).lease.Release()
		for _, p := range s.All() {
			s.Forget(0)
			if _, err := p.Acquire(context.Background()); !errors.Is(err, pool.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
	})
}

func TestAKeyThatCannotBeOpenedSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("no such user")
		s := pool.NewSet(1, func(key string) (pool.Config, pool.Hooks[*conn], error) {
			if key == "bad" {
				return pool.Config{Max: -1}, new(world).hooks(), nil
			}
			return pool.Config{}, pool.Hooks[*conn]{}, no
		})
		if _, err := s.Acquire(context.Background(), "x"); err != no {
			t.Errorf("got %v", err)
		}
		s.AcquireFunc("x", time.Time{}, func(_ pool.Lease[*conn], err error) {
			if err != no {
				t.Errorf("got %v", err)
			}
		})
		if _, err := s.Acquire(context.Background(), "bad"); err == nil || err.Error() != "pool: Config.Max is -1: must not be negative" {
			t.Errorf("got %v", err)
		}
		if _, ok := s.TryAcquire("x"); ok {
			t.Error("lent from a pool that was never made")
		}
	})
}

func TestASetTellsOfThePoolThatFailsForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worlds := map[string]*world{"good": {}, "bad": {refuse: errRefused}, "worse": {refuse: errors.New("no such host")}}
		s := pool.NewSet(10, func(key string) (pool.Config, pool.Hooks[*conn], error) { return eternal(1), worlds[key].hooks(), nil })
		defer closeNow(s.Close)
		begin := time.Now()
		ask(of(s, "worse"), 0)
		time.Sleep(time.Minute)
		ask(of(s, "bad"), 0)
		ask(of(s, "good"), 0)
		st := s.Stats()
		if st.Failing != 2 || !st.FailingSince.Equal(begin) || st.DialError.Error() != "no such host" || !st.LastDialed.Equal(time.Now()) {
			t.Errorf("failing %d since %v with %v", st.Failing, st.FailingSince, st.DialError)
		}
		if st.Oldest != time.Minute || st.Waiting != 2 {
			t.Errorf("the oldest of %d waits for %v", st.Waiting, st.Oldest)
		}
	})
}

func TestThePeaksOfASetAreOfTheSum(t *testing.T) {
	bubbleSet(t, 2, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		for range 3 { // one after the other: never two at a time
			ask(of(s, "a"), 0).lease.Release()
			ask(of(s, "b"), 0).lease.Release()
		}
		if st := s.Stats(); st.PeakLent != 1 {
			t.Errorf("peak %d lent, want 1", st.PeakLent)
		}
		a, b, c := ask(of(s, "a"), 0), ask(of(s, "b"), 0), ask(of(s, "c"), 0)
		if st := s.Stats(); st.PeakLent != 2 || st.PeakWaiting != 1 {
			t.Errorf("peaks %d lent, %d waiting; want 2, 1", st.PeakLent, st.PeakWaiting)
		}
		a.lease.Release()
		b.lease.Release()
		synctest.Wait()
		c.lease.Release()
		s.ResetPeaks()
		if st := s.Stats(); st.PeakLent != 0 || st.PeakWaiting != 0 {
			t.Errorf("peaks %d and %d after the reset", st.PeakLent, st.PeakWaiting)
		}
	})
}

func TestClosingASet(t *testing.T) {
	bubbleSet(t, 3, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		a := ask(of(s, "a"), 0)
		ask(of(s, "b"), 0).lease.Release()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		go func() {
			time.Sleep(500 * time.Millisecond)
			a.lease.Release()
		}()
		if err := s.Close(ctx); err != nil || time.Since(begin) != 500*time.Millisecond {
			t.Errorf("Close returned %v after %v, want nil at the release", err, time.Since(begin))
		}
		if b := ask(of(s, "b"), 0); !errors.Is(b.failed(), pool.ErrClosed) {
			t.Errorf("got %v", b.failed())
		}
	})
}

// The property: whatever happens, the server never sees more connections than the budget (after it fell: than were open
// then), and when the clients that hold release and the server works, each client that waits is served.
func TestNoHistoryExceedsTheBudgetOrStarvesAKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() {
			w := &world{dialFor: time.Duration(rapid.SampledFrom([]int{0, 1, 300}).Draw(rt, "dial ms")) * time.Millisecond}
			budget := rapid.IntRange(0, 5).Draw(rt, "budget")
			cfg := eternal(4)
			cfg.CheckAfter = -1
			hooks := w.hooks()
			if rapid.Bool().Draw(rt, "slow close") {
				shut := hooks.Close
				hooks.Close = func(c *conn) {
					time.Sleep(200 * time.Millisecond)
					shut(c)
				}
			}
			s := pool.NewSet(budget, func(string) (pool.Config, pool.Hooks[*conn], error) { return cfg, hooks, nil })
			defer closeNow(s.Close)
			ceiling := 0
			var clients []*client
			key := rapid.SampledFrom([]string{"a", "b", "c", "d"})
			release := func(end func(pool.Lease[*conn])) func(*rapid.T) {
				return func(*rapid.T) {
					i := slices.IndexFunc(clients, (*client).served)
					if i < 0 {
						rt.Skip("nobody holds")
					}
					end(clients[i].lease)
					clients = slices.Delete(clients, i, i+1)
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"ask":      func(rt *rapid.T) { clients = append(clients, ask(of(s, key.Draw(rt, "key")), 0)) },
				"ask more": func(rt *rapid.T) { clients = append(clients, ask(of(s, key.Draw(rt, "key")), 0)) },
				"release":  release(pool.Lease[*conn].Release),
				"discard":  release(func(l pool.Lease[*conn]) { l.Discard(nil) }),
				"budget": func(rt *rapid.T) {
					budget = rapid.IntRange(0, 5).Draw(rt, "budget")
					s.SetBudget(budget)
				},
				"limit":   func(rt *rapid.T) { s.Limit(key.Draw(rt, "key"), rapid.IntRange(-1, 3).Draw(rt, "limit")) },
				"refuse":  func(*rapid.T) { w.set(func() { w.refuse = errRefused }) },
				"recover": func(*rapid.T) { w.set(func() { w.refuse = nil }) },
				"pass": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond)
				},
				"forget": func(*rapid.T) { s.Forget(time.Second) },
				"": func(rt *rapid.T) {
					synctest.Wait()
					w.mu.Lock()
					live, opened := w.live, w.peak
					w.peak = live
					w.mu.Unlock()
					if opened > max(budget, ceiling) {
						rt.Fatalf("%d at the server, budget %d, %d before", opened, budget, ceiling)
					}
					ceiling = live
					if st := s.Stats(); st.Open != live || st.Open != st.Idle+st.Lent+st.Dialing+st.Resetting+st.Closing {
						rt.Fatalf("%d at the server, Stats says %+v", live, st)
					}
				},
			})
			s.SetBudget(max(1, budget))
			for _, k := range []string{"a", "b", "c", "d"} {
				s.Limit(k, -1)
			}
			w.set(func() { w.refuse = nil })
			for range 60 { // each releases after a while
				time.Sleep(time.Second)
				synctest.Wait()
				clients = slices.DeleteFunc(clients, func(c *client) bool {
					if c.served() {
						c.lease.Release()
					}
					return c.served()
				})
			}
			for range clients {
				time.Sleep(time.Second)
				synctest.Wait()
				clients = slices.DeleteFunc(clients, func(c *client) bool {
					if c.served() {
						c.lease.Release()
					}
					return c.served()
				})
			}
			if len(clients) > 0 {
				rt.Fatalf("%d clients are not served, budget %d, %+v", len(clients), budget, s.Stats())
			}
		})
	})
}
