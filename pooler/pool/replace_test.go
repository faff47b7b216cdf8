package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestAConnectionNearItsEndIsReplacedBeforeIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*pool.Config)
	}{
		{"kept for Min", func(c *pool.Config) { c.Min = 4 }},
		{"kept for Min, and no more than MaxIdle may be idle", func(c *pool.Config) { c.Min, c.MaxIdle = 4, 4 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := eternal(8)
			cfg.Lifetime = 10 * time.Minute
			c.change(&cfg)
			bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				w.set(func() { w.dialFor = 2 * time.Second })
				time.Sleep(10 * time.Second)
				time.Sleep(25 * time.Minute) // until the pool has learned how long a dial takes now
				for range 4 * 35 * 60 {
					time.Sleep(250 * time.Millisecond)
					synctest.Wait()
					if s := p.Stats(); s.Idle < 4 || s.Open > 8 {
						t.Fatalf("a hole: %d idle, %d dialing, want at least 4 idle", s.Idle, s.Dialing)
					}
				}
				s := p.Stats()
				if s.ClosedAge < 20 || s.ClosedSurplus > 0 || s.Replaced < s.ClosedAge || s.Replaced > s.ClosedAge+4 {
					t.Errorf("in an hour %d closed for age, %d as surplus, %d replaced; want 20 or more, 0, as many", s.ClosedAge, s.ClosedSurplus, s.Replaced)
				}
			})
		})
	}
}

func TestWhatIsUsedIsReplacedAndWhatIsNotIsNot(t *testing.T) {
	cfg := eternal(8)
	cfg.Lifetime = 5 * time.Minute
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.set(func() { w.dialFor = time.Second })
		use := func() { // a client that must not wait
			l, ok := p.TryAcquire()
			if !ok {
				t.Fatalf("nothing is idle: %+v", p.Stats())
			}
			l.Release()
		}
		a, b, c := ask(p.Acquire, 0), ask(p.Acquire, 0), ask(p.Acquire, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, c := range []*client{a, b, c} {
			c.lease.Release()
		}
		cfg.CheckAfter = -1
		for range 20 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			use()
		}
		if s := p.Stats(); s.Open > 2 || s.ClosedAge < 4 {
			t.Errorf("%d open, %d closed for age; want one that is used, or two while one replaces the other", s.Open, s.ClosedAge)
		}
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.Open != 0 {
			t.Errorf("%d open after a quiet quarter of an hour, want none: nobody misses them", s.Open)
		}
	})
}

func TestAtMaxNothingIsReplacedBeforeItsEnd(t *testing.T) {
	cfg := eternal(2)
	cfg.Min, cfg.Lifetime = 2, 5*time.Minute
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		for range 60 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if s := p.Stats(); s.Replaced != 0 || s.Idle != 2 || w.peak != 2 {
			t.Errorf("%d replaced, %d idle, at most %d at the server; want 0, 2, 2", s.Replaced, s.Idle, w.peak)
		}
	})
}
