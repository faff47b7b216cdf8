package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// bubbleSet runs a test of a Set whose keys are strings in fake time.
func bubbleSet(t *testing.T, budget int, cfg pool.Config, test func(t *testing.T, w *world, s *pool.Set[string, *conn])) {
	t.Helper()
	bubbleOf(t, budget, func(string) pool.Config { return cfg }, test)
}

// bubbleOf is bubbleSet with a Config for each key.
func bubbleOf(t *testing.T, budget int, cfg func(string) pool.Config, test func(t *testing.T, w *world, s *pool.Set[string, *conn])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := new(world)
		s := pool.NewSet(budget, func(key string) (pool.Config, pool.Hooks[*conn], error) { return cfg(key), w.hooks(), nil })
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
	return func(ctx context.Context, opts ...pool.Option) (pool.Lease[*conn], error) {
		return s.Acquire(ctx, key, opts...)
	}
}

// leaveIdle asks for a connection of each key, all at once, and releases them in this order.
func leaveIdle(s *pool.Set[string, *conn], keys ...string) {
	var held []*client
	for _, key := range keys {
		held = append(held, ask(of(s, key), 0))
	}
	for _, c := range held {
		c.lease.Release()
	}
	synctest.Wait()
}

// releasing fails the test unless so many are open after c's release.
func releasing(t *testing.T, s *pool.Set[string, *conn], c *client, open int) {
	t.Helper()
	c.lease.Release()
	synctest.Wait()
	if st := s.Stats(); st.Open != open {
		t.Fatalf("%d open after the release, want %d", st.Open, open)
	}
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
		releasing(t, s, a, 0)
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
		releasing(t, s, a, 2)
		releasing(t, s, c, 2) // it frees a place for e: dialing
		w.endDial(nil)
		mustServe(t, b, e)
	})
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
			leaveIdle(s, "a")
			leaveIdle(s, "b")
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

func TestASetMayBePausedForSomeOfItsKeys(t *testing.T) {
	bubbleSet(t, 3, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		known := ask(of(s, "a"), 0)
		mustServe(t, known)
		known.lease.Release()
		s.PauseOnly(func(key string) bool { return key != "b" })
		a, b, late := ask(of(s, "a"), 0), ask(of(s, "b"), 0), ask(of(s, "made later"), 0)
		mustWait(t, a, late)
		mustServe(t, b)
		b.lease.Release()
		s.PauseOnly(func(key string) bool { return key == "b" })
		synctest.Wait()
		mustServe(t, a, late)
		b = ask(of(s, "b"), 0)
		mustWait(t, b)
		s.Resume()
		synctest.Wait()
		mustServe(t, b)
		for _, asked := range []*client{a, b, late} {
			asked.lease.Release()
		}
	})
}

func TestAPausedSetLendsNothingOfNoKey(t *testing.T) {
	bubbleSet(t, 3, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		lent := ask(of(s, "a"), 0)
		mustServe(t, lent)
		s.Pause()
		a, late := ask(of(s, "a"), 0), ask(of(s, "made later"), 0)
		lent.lease.Release()
		mustWait(t, a, late)
		if _, ok := s.TryAcquire("a"); ok {
			t.Error("an idle connection is lent")
		}
		s.Resume()
		synctest.Wait()
		mustServe(t, a, late)
		a.lease.Release()
		late.lease.Release()
	})
}

func TestAPoolMadeWhileItsSetIsPausedDialsNothingUntilResume(t *testing.T) {
	cfg := eternal(10)
	cfg.Min = 2
	bubbleSet(t, 3, cfg, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		s.Pause()
		a := ask(of(s, "a"), 0)
		mustWait(t, a)
		if n := w.dialed(); n != 0 {
			t.Errorf("%d dials while paused", n)
		}
		s.Resume()
		synctest.Wait()
		mustServe(t, a)
		if n := w.dialed(); n != 2 {
			t.Errorf("%d dials after Resume, want Min", n)
		}
		a.lease.Release()
	})
}
