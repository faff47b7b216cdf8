package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// busy keeps n clients acquiring, each holding its connection for as long, until stop.
func busy(p *pool.Pool[*conn], n int, hold time.Duration) (stop func()) {
	end := make(chan struct{})
	for range n {
		go func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				l, err := p.Acquire(context.Background())
				if err != nil {
					panic(err)
				}
				time.Sleep(hold)
				l.Release()
			}
		}()
	}
	return func() { close(end); time.Sleep(2 * hold); synctest.Wait() }
}

func TestClientsThatReturnsWillServeBeforeADialDialNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		eager bool
		want  int // dials
	}{{"by the rate of returns", false, 0}, {"unless eager", true, 3}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := eternal(50)
			cfg.Eager = c.eager
			bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				w.set(func() { w.dialFor = 150 * time.Millisecond })
				stop := busy(p, 2, 2*time.Millisecond)
				time.Sleep(2 * time.Second) // history: 1000 returns a second, dials of 150 ms
				before := w.dialed()
				for range 3 {
					go func() {
						l, err := p.Acquire(context.Background())
						if err != nil {
							panic(err)
						}
						time.Sleep(2 * time.Millisecond)
						l.Release()
					}()
				}
				synctest.Wait()
				if got := w.dialed() - before; got != c.want {
					t.Errorf("%d dials for 3 clients, want %d", got, c.want)
				}
				time.Sleep(10 * time.Millisecond)
				if s := p.Stats(); !c.eager && s.Waiting > 0 {
					t.Errorf("%d still wait", s.Waiting)
				}
				stop()
			})
		})
	}
}

func TestAClientWhoseHopeIsInVainGetsADialAfterADialsTime(t *testing.T) {
	// Releases are counted for a tenth of a second: with a short dial the pool still believes in them when the time is up.
	for _, dial := range []time.Duration{150 * time.Millisecond, 20 * time.Millisecond} {
		t.Run(dial.String(), func(t *testing.T) {
			bubble(t, eternal(4), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				w.set(func() { w.dialFor = dial })
				stop := busy(p, 1, 2*time.Millisecond)
				time.Sleep(2 * time.Second)
				stop()
				long := ask(p.Acquire, 0) // and from now on nothing comes back
				mustServe(t, long)
				before := w.dialed()
				a := ask(p.Acquire, 0)
				if w.dialed() != before {
					t.Fatal("dialed at once: the test shows nothing")
				}
				time.Sleep(dial - time.Millisecond)
				mustWait(t, a)
				time.Sleep(dial + time.Millisecond)
				synctest.Wait()
				mustServe(t, a)
				if got := w.dialed() - before; got != 1 {
					t.Errorf("%d dials, want 1", got)
				}
			})
		})
	}
}

func TestAStockForRecentPeaksIsKeptAndGivenUpSlowly(t *testing.T) {
	cfg := eternal(40)
	cfg.Ready, cfg.IdleTime = 2*time.Minute, 10*time.Second
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all []*client
		for range 9 {
			all = append(all, ask(p.Acquire, 0))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		s := p.Stats()
		if s.Keep != 15 || s.Open != 15 || s.Warmed != 6 { // 9 + 2·√9
			t.Fatalf("keep %d, %d open, %d warmed; want 15, 15, 6", s.Keep, s.Open, s.Warmed)
		}
		for _, c := range all {
			c.lease.Release()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.Open < 8 || s.Open > 12 || s.Open > s.Keep+1 { // R = 9·e^(-½) = 5.5
			t.Errorf("a minute after the peak %d are open, keep %d; want about 11", s.Open, s.Keep)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.Open != 0 || s.Keep != 0 {
			t.Errorf("%d open, keep %d after a long quiet; want none", s.Open, s.Keep)
		}
	})
}

func TestATenthOfTheSurplusIsClosedEachSecond(t *testing.T) {
	cfg := eternal(100)
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all []*client
		for range 100 {
			all = append(all, ask(p.Acquire, 0))
		}
		for _, c := range all {
			c.lease.Release()
		}
		cfg.Ready, cfg.IdleTime = time.Second, time.Second
		p.Configure(cfg)
		time.Sleep(15*time.Second + 100*time.Millisecond)
		synctest.Wait()
		before := p.Stats().Open
		time.Sleep(time.Second)
		synctest.Wait()
		after := p.Stats().Open
		if closed := before - after; before < 10 || closed < 1 || closed > before/10+1 {
			t.Errorf("%d of %d closed in a second, want a tenth", closed, before)
		}
	})
}

func TestTheServersRefusalSetsACeilingThatRisesAgain(t *testing.T) {
	tooMany := errors.New("sorry, too many clients already")
	lowered := make(chan pool.Event, 8)
	bubbleWith(t, eternal(30), func(h *pool.Hooks[*conn]) {
		h.Refused = func(err error) bool { return err == tooMany }
		h.Event = func(e pool.Event) {
			if e.Kind == pool.Lowered {
				lowered <- e
			}
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all []*client
		for range 20 {
			all = append(all, ask(p.Acquire, 0))
		}
		mustServe(t, all...)
		w.set(func() { w.refuse = tooMany })
		next := ask(p.Acquire, 0)
		synctest.Wait()
		if s, e := p.Stats(), <-lowered; s.Ceiling != 18 || e.Ceiling != 18 || e.Err != tooMany {
			t.Fatalf("ceiling %d, told %v; want nine tenths of 20", s.Ceiling, e)
		}
		w.set(func() { w.refuse = nil })
		before := w.dialed()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		mustWait(t, next)
		if s := p.Stats(); w.dialed() != before || s.Lent != 20 {
			t.Fatalf("%d dials above the ceiling, %d lent; want 0, and what is open stays", w.dialed()-before, s.Lent)
		}
		all[0].lease.Discard(nil) // 19 open
		all[1].lease.Discard(nil) // 18
		all[2].lease.Discard(nil) // 17: a place below the ceiling
		synctest.Wait()
		mustServe(t, next)
		another := ask(p.Acquire, 0)
		mustWait(t, another)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		mustServe(t, another)
		if s := p.Stats(); s.Ceiling != 19 || s.Open != 19 {
			t.Errorf("ceiling %d, %d open; want 19: one more after ten seconds", s.Ceiling, s.Open)
		}
		p.Retire()
		if s := p.Stats(); s.Ceiling != 0 {
			t.Errorf("ceiling %d after Retire, want none: it may be another server", s.Ceiling)
		}
	})
}

func TestWhatIsOpenAboveACeilingIsLent(t *testing.T) {
	bubbleWith(t, eternal(30), func(h *pool.Hooks[*conn]) {
		h.Refused = func(error) bool { return true }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all []*client
		for range 20 {
			all = append(all, ask(p.Acquire, 0))
		}
		mustServe(t, all...)
		w.set(func() { w.refuse = errRefused })
		next := ask(p.Acquire, 0)
		mustWait(t, next)
		for _, c := range all[:2] {
			c.lease.Release()
		}
		synctest.Wait()
		mustServe(t, next, ask(p.Acquire, 0))
		if s := p.Stats(); s.Ceiling != 18 || s.Lent != 20 {
			t.Errorf("ceiling %d, %d lent; want 18, 20", s.Ceiling, s.Lent)
		}
	})
}

func TestACeilingLeavesOnePlaceAtLeast(t *testing.T) {
	bubbleWith(t, eternal(3), func(h *pool.Hooks[*conn]) {
		h.Refused = func(error) bool { return true }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.set(func() { w.refuse = errRefused })
		a := ask(p.Acquire, 0)
		time.Sleep(time.Minute)
		if c := p.Stats().Ceiling; c != 1 {
			t.Errorf("ceiling %d with nothing open, want 1", c)
		}
		w.set(func() { w.refuse = nil })
		time.Sleep(6 * time.Second)
		synctest.Wait()
		mustServe(t, a)
	})
}
