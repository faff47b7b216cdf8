package pool_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestMaxIdle(t *testing.T) {
	for _, c := range []struct {
		name    string
		maxIdle int
		want    int
	}{
		{"zero keeps none", 0, 0},
		{"a negative one keeps none", -1, 0},
		{"two of four keep two", 2, 2},
		{"the default keeps all", math.MaxInt, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := eternal(4)
			cfg.MaxIdle = c.maxIdle
			bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				var all []*client
				for range 4 {
					all = append(all, ask(p.Acquire, 0))
				}
				for _, h := range all {
					h.lease.Release()
				}
				synctest.Wait()
				if s := p.Stats(); s.Idle != c.want || s.Open != c.want {
					t.Errorf("%d idle of %d open, want %d", s.Idle, s.Open, c.want)
				}
			})
		})
	}
}

func TestIdleTimeOfZeroIsNever(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		ask(p.Acquire, 0).lease.Release()
		time.Sleep(time.Hour)
		if s := p.Stats(); s.Idle != 1 {
			t.Errorf("%d idle after an hour, want 1", s.Idle)
		}
	})
}

func TestMinAndMinIdleAreKept(t *testing.T) {
	cfg := eternal(10)
	cfg.Min, cfg.MinIdle, cfg.IdleTime = 4, 2, time.Second
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		synctest.Wait()
		if s := p.Stats(); s.Idle != 4 {
			t.Fatalf("%d idle at the start, want Min", s.Idle)
		}
		var all []*client
		for range 5 {
			all = append(all, ask(p.Acquire, 0))
		}
		if s := p.Stats(); s.Lent != 5 || s.Idle != 2 {
			t.Fatalf("%d lent, %d idle; want 5 and MinIdle", s.Lent, s.Idle)
		}
		all[0].lease.Discard(nil)
		for _, c := range all[1:] {
			c.lease.Release()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.Idle != 4 || s.ClosedIdle != 2 {
			t.Errorf("%d idle after a quiet minute, %d closed for it; want Min, and 2 closed of 6", s.Idle, s.ClosedIdle)
		}
		cfg.Max = 1
		p.Configure(cfg)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.Open != 1 {
			t.Errorf("%d open with Max below Min, want Max", s.Open)
		}
	})
}

func TestMinIsFilledAgainAfterAnOutage(t *testing.T) {
	cfg := eternal(10)
	cfg.Min = 3
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.set(func() { w.refuse = errRefused })
		p.Retire()
		time.Sleep(time.Minute)
		w.set(func() { w.refuse = nil })
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if s := p.Stats(); s.Idle != 3 {
			t.Errorf("%d idle, want 3", s.Idle)
		}
	})
}

func TestMaxWaiting(t *testing.T) {
	for _, c := range []struct {
		name       string
		maxWaiting int
		clients    int
		waiting    int
	}{
		{"zero refuses at once", 0, 5, 0},
		{"three lets three wait", 3, 8, 3},
		{"unlimited refuses nobody", pool.Unlimited, 50, 48},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := eternal(2)
			cfg.MaxWaiting = c.maxWaiting
			bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				w.manual = true // a cold pool: those for whom there is a place are let in
				var all []*client
				for range c.clients {
					all = append(all, ask(p.Acquire, 0))
				}
				w.endDial(nil)
				w.endDial(nil)
				mustServe(t, all[:2]...)
				mustWait(t, all[2:2+c.waiting]...)
				for _, refused := range all[2+c.waiting:] {
					if !errors.Is(refused.err, pool.ErrQueueFull) {
						t.Fatalf("got %v, want ErrQueueFull", refused.err)
					}
				}
				if s := p.Stats(); int(s.QueueFull) != c.clients-2-c.waiting {
					t.Errorf("%d counted as refused", s.QueueFull)
				}
			})
		})
	}
	t.Run("zero refuses at once while the limit is zero", func(t *testing.T) {
		cfg := eternal(0)
		cfg.MaxWaiting = 0
		bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
			if a := ask(p.Acquire, 0); !errors.Is(a.err, pool.ErrQueueFull) {
				t.Errorf("got %v", a.err)
			}
		})
	})
}

func TestAConnectionIdleForLongIsCheckedBeforeItIsLent(t *testing.T) {
	dead := make(map[*conn]bool)
	checks := 0
	cfg := eternal(3)
	cfg.CheckAfter = 5 * time.Second
	bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
		h.Check = func(_ context.Context, c *conn) error {
			checks++
			if dead[c] {
				return errors.New("closed by the server")
			}
			return nil
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		dead[a.lease.Conn()] = true
		b.lease.Release()
		a.lease.Release()
		time.Sleep(4 * time.Second)
		c := ask(p.Acquire, 0)
		mustServe(t, c)
		if checks != 0 {
			t.Fatal("checked before CheckAfter")
		}
		c.lease.Release()
		time.Sleep(6 * time.Second)
		if _, ok := p.TryAcquire(); ok {
			t.Fatal("TryAcquire lent a connection that was not checked")
		}
		d := ask(p.Acquire, 0)
		mustServe(t, d)
		if checks != 2 || d.lease.Conn().id != 1 || p.Stats().ClosedBroken != 1 {
			t.Errorf("%d checks, connection %d lent, %d broken; want 2, 1, 1", checks, d.lease.Conn().id, p.Stats().ClosedBroken)
		}
	})
}

func TestNobodyOvertakesAClientWhoseConnectionIsBeingChecked(t *testing.T) {
	bubbleWith(t, eternal(2), func(h *pool.Hooks[*conn]) {
		h.Check = func(context.Context, *conn) error {
			time.Sleep(time.Second)
			return nil
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		a.lease.Release()
		time.Sleep(5 * time.Second)
		first := ask(p.Acquire, 0)
		b.lease.Release() // for the oldest, whatever is being checked for it
		synctest.Wait()
		mustServe(t, first)
		first.lease.Release()
		if _, ok := p.TryAcquire(); !ok {
			t.Error("nobody waits, and nothing was lent")
		}
	})
	bubbleWith(t, eternal(3), func(h *pool.Hooks[*conn]) {
		h.Check = func(context.Context, *conn) error {
			time.Sleep(time.Second)
			return nil
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		a.lease.Release()
		b.lease.Release()
		time.Sleep(5 * time.Second)
		first := ask(p.Acquire, 0)
		mustWait(t, first) // one is being checked for it, the other is idle
		if _, ok := p.TryAcquire(); ok {
			t.Error("TryAcquire overtook")
		}
		second := ask(p.Acquire, 0)
		mustWait(t, second)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, first, second)
		if w.dialed() != 2 {
			t.Errorf("%d dials although both idle ones were good", w.dialed())
		}
	})
}

func TestResetRunsBetweenTwoLeases(t *testing.T) {
	bubbleWith(t, eternal(1), func(h *pool.Hooks[*conn]) {
		h.Reset = func(context.Context, *conn) error {
			time.Sleep(time.Second)
			return nil
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		b := ask(p.Acquire, 0)
		a.lease.Release()
		synctest.Wait()
		mustWait(t, b)
		if s := p.Stats(); s.Resetting != 1 || s.Open != 1 {
			t.Fatalf("%d resetting of %d open", s.Resetting, s.Open)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, b)
	})
}

func TestAHijackedPlaceIsFreeAtOnce(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		b := ask(p.Acquire, 0)
		c := a.lease.Hijack()
		synctest.Wait()
		mustServe(t, b)
		w.close(c)
	})
}

func TestAPlaceIsTakenUntilCloseHasReturned(t *testing.T) {
	bubbleWith(t, eternal(1), func(h *pool.Hooks[*conn]) {
		shut := h.Close
		h.Close = func(c *conn) {
			time.Sleep(time.Second)
			shut(c)
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		b := ask(p.Acquire, 0)
		a.lease.Discard(nil)
		synctest.Wait()
		mustWait(t, b)
		if s := p.Stats(); s.Closing != 1 || s.Open != 1 {
			t.Fatalf("%d closing of %d open", s.Closing, s.Open)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, b)
		if w.peak != 1 {
			t.Errorf("%d at the server at once", w.peak)
		}
	})
}

func TestPeaksAreSinceTheLastReset(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b, c := ask(p.Acquire, 0), ask(p.Acquire, 0), ask(p.Acquire, time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		a.lease.Release()
		if s := p.Stats(); s.PeakLent != 2 || s.PeakWaiting != 1 || c.err == nil {
			t.Errorf("peaks %d and %d, want 2 and 1", s.PeakLent, s.PeakWaiting)
		}
		p.ResetPeaks()
		if s := p.Stats(); s.PeakLent != 1 || s.PeakWaiting != 0 {
			t.Errorf("peaks %d and %d after the reset, want 1 and 0", s.PeakLent, s.PeakWaiting)
		}
		b.lease.Release()
	})
}
