package pool_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// bubbleTenants runs a test of a Set in which the tenant of a key is what stands before the slash, and may have most connections.
func bubbleTenants(t *testing.T, budget, most int, test func(t *testing.T, w *world, s *pool.Set[string, *conn])) {
	t.Helper()
	bubbleOf(t, budget, func(key string) pool.Config { return ofTenant(eternal(10), key, most) }, test)
}

func ofTenant(cfg pool.Config, key string, most int) pool.Config {
	cfg.Tenant, _, _ = strings.Cut(key, "/")
	cfg.TenantMax = most
	return cfg
}

func setTenantMax(t *testing.T, s *pool.Set[string, *conn], most int) {
	t.Helper()
	err := s.Configure(func(key string, cfg pool.Config) (pool.Config, error) { return ofTenant(cfg, key, most), nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestATenantHasNoMoreThanItsPartInAllItsPools(t *testing.T) {
	bubbleTenants(t, 10, 3, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		a, b, c := ask(of(s, "app/a"), 0), ask(of(s, "app/b"), 0), ask(of(s, "app/b"), 0)
		more := ask(of(s, "app/a"), 0)
		mustServe(t, a, b, c)
		mustWait(t, more)
		mustServe(t, ask(of(s, "web/a"), 0), ask(of(s, "web/a"), 0), ask(of(s, "web/b"), 0)) // it is not held up
		if st := s.Stats(); st.Open != 6 || st.TenantsFull != 1 {
			t.Errorf("%d open, %d tenants full; want 6 and 1: nobody of web waits", st.Open, st.TenantsFull)
		}
		b.lease.Release()
		synctest.Wait()
		mustServe(t, more) // b had two, and nobody of b waits
		if w.peak > 6 {
			t.Errorf("%d open at once, want 6", w.peak)
		}
	})
}

func TestAnIdleConnectionOfATenantYieldsToItsOtherPool(t *testing.T) {
	bubbleTenants(t, 10, 2, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		leaveIdle(s, "app/a", "app/a", "web/a")
		mustServe(t, ask(of(s, "app/b"), 0))
		if st := s.Stats(); st.ClosedYielded != 1 || st.Open != 3 {
			t.Errorf("%d yielded, %d open; want 1 and 3: web has nothing to do with it", st.ClosedYielded, st.Open)
		}
	})
}

func TestAPoolOfATenantIsNotStarvedByItsOtherPool(t *testing.T) {
	bubbleTenants(t, 100, 4, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		w.dialFor = 20 * time.Millisecond
		load := newLoad(s)
		load.start("app/big", 50)
		time.Sleep(5 * time.Second)
		load.start("app/small", 2)
		load.forget()
		time.Sleep(20 * time.Second)
		load.stop()
		if small, big := load.served["app/small"], load.served["app/big"]; small < big*9/10 {
			t.Errorf("two clients of one pool got %d leases, fifty of the other %d: of four places each has two", small, big)
		}
		if longest := load.longest["app/small"]; longest > 50*time.Millisecond {
			t.Errorf("a client of the small pool waited %v", longest)
		}
		if w.peak > 4 || w.dialed() > 20 {
			t.Errorf("%d open at once and %d dials; want at most 4, and no exchange without end", w.peak, w.dialed())
		}
	})
}

func TestWhatATenantMayHaveChangesAtOnce(t *testing.T) {
	bubbleTenants(t, 10, 4, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		a, b, c := ask(of(s, "app/a"), 0), ask(of(s, "app/b"), 0), ask(of(s, "app/b"), 0)
		ask(of(s, "app/a"), 0).lease.Release()

		setTenantMax(t, s, 2)
		synctest.Wait()
		if st := s.Stats(); st.Open != 3 || st.ClosedSurplus != 1 {
			t.Errorf("%d open, %d closed as surplus; want 3 and the idle one", st.Open, st.ClosedSurplus)
		}
		releasing(t, s, a, 2) // what was lent above it goes
		waits := ask(of(s, "app/a"), 0)
		mustWait(t, waits)

		setTenantMax(t, s, 3)
		synctest.Wait()
		mustServe(t, waits)
		waits = ask(of(s, "app/a"), 0)
		mustWait(t, waits)

		setTenantMax(t, s, 0)
		synctest.Wait()
		mustServe(t, waits, b, c)
		if st := s.Stats(); st.TenantsFull != 0 || st.Open != 4 {
			t.Errorf("%+v", st)
		}

		setTenantMax(t, s, 5) // those that are open already count
		mustServe(t, ask(of(s, "app/b"), 0))
		mustWait(t, ask(of(s, "app/c"), 0))
	})
}

func TestThePoolThatIsMadeLastDecidesWhatItsTenantMayHave(t *testing.T) {
	less := func(key string) pool.Config {
		if key == "app/b" {
			return ofTenant(eternal(10), key, 1)
		}
		return ofTenant(eternal(10), key, 3)
	}
	bubbleOf(t, 10, less, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		leaveIdle(s, "app/a", "app/a", "app/a")
		mustServe(t, ask(of(s, "app/b"), 0))
		if st := s.Stats(); st.Open != 1 || st.ClosedSurplus != 2 {
			t.Errorf("%d open, %d closed as surplus; want 1, and 2 before the last yielded", st.Open, st.ClosedSurplus)
		}
	})
}

func TestAPoolKeepsItsTenant(t *testing.T) {
	bubbleTenants(t, 10, 2, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "app/a"), 0).lease.Release()
		const want = `pool: Config.Tenant is "web" but was "app": a pool keeps its tenant`
		toWeb := func(cfg pool.Config) pool.Config {
			cfg.Tenant = "web"
			return cfg
		}
		err := s.Configure(func(_ string, cfg pool.Config) (pool.Config, error) { return toWeb(cfg), nil })
		if err == nil || err.Error() != want {
			t.Errorf("Set.Configure: %v", err)
		}
		for _, p := range s.All() {
			if err := p.Configure(toWeb(p.Config())); err == nil || err.Error() != want {
				t.Errorf("Pool.Configure: %v", err)
			}
		}
	})
}

func TestMinIsKeptAsFarAsTheTenantMayHaveConnections(t *testing.T) {
	keep := func(key string) pool.Config {
		cfg := ofTenant(eternal(10), key, 3)
		cfg.Min, cfg.MinIdle = 2, 2
		return cfg
	}
	bubbleOf(t, 10, keep, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		leaveIdle(s, "app/a", "app/b")
		time.Sleep(time.Second)
		synctest.Wait()
		if st := s.Stats(); st.Open != 3 || w.peak != 3 {
			t.Errorf("%d open, %d at most, want 3", st.Open, w.peak)
		}
	})
}

func TestWhoWaitsForItsTenantIsToldSo(t *testing.T) {
	bubbleTenants(t, 10, 2, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		mustServe(t, ask(of(s, "user app/a"), 0), ask(of(s, "user app/b"), 0))
		late := ask(of(s, "user app/a"), 5*time.Second)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		want := "pool: no connection after 5s: user app has 2 of 2 open, 2 lent, 0 clients ahead: context deadline exceeded"
		if err := late.failed(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}

func TestWhoWouldWaitForItsTenantCountsForMaxWaiting(t *testing.T) {
	none := func(key string) pool.Config {
		cfg := ofTenant(eternal(10), key, 1)
		cfg.MaxWaiting = 0
		return cfg
	}
	bubbleOf(t, 10, none, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		mustServe(t, ask(of(s, "app/a"), 0))
		if err := ask(of(s, "app/b"), 0).failed(); err != pool.ErrQueueFull {
			t.Errorf("got %v, want ErrQueueFull", err)
		}
	})
}

func TestATenantIsForgottenWithItsLastPool(t *testing.T) {
	bubbleTenants(t, 10, 1, func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		for range 3 {
			ask(of(s, "app/a"), 0).lease.Release()
			time.Sleep(time.Second)
			s.Forget(time.Millisecond)
			synctest.Wait()
		}
		mustServe(t, ask(of(s, "app/b"), 0))
		if st := s.Stats(); st.Open != 1 {
			t.Errorf("%d open, want 1", st.Open)
		}
	})
}
