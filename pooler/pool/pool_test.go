package pool_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func onOneCPU(f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f()
}

func yield() { runtime.Gosched() }

func TestWaitersAreServedInOrderByWhateverComesFirst(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.dialFor = time.Second
		a := ask(p.Acquire, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, a)
		b, c := ask(p.Acquire, 0), ask(p.Acquire, 0) // a dial begins for b
		a.lease.Release()
		synctest.Wait()
		mustServe(t, b)
		mustWait(t, c)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, c) // by the dial that began for b
	})
}

func TestADialGoesOnWhenItsClientGivesUp(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a := ask(p.Acquire, time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		if !errors.Is(a.err, context.DeadlineExceeded) {
			t.Fatalf("got %v", a.err)
		}
		w.endDial(nil)
		if l, ok := p.TryAcquire(); !ok || l.Conn().id != 0 {
			t.Error("the connection is not idle")
		}
	})
}

func TestTheWarmestIdleConnectionIsLent(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		last := a.lease.Conn()
		b.lease.Release()
		a.lease.Release()
		if l, ok := p.TryAcquire(); !ok || l.Conn() != last {
			t.Error("not the one released last")
		}
	})
}

func TestTryAcquireTakesNothingFromWhoWaits(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		if _, ok := p.TryAcquire(); ok {
			t.Fatal("lent from an empty pool")
		}
		a := ask(p.Acquire, 0)
		b := ask(p.Acquire, 0)
		a.lease.Release()
		if _, ok := p.TryAcquire(); ok {
			t.Fatal("lent although a client waited")
		}
		synctest.Wait()
		mustServe(t, b)
	})
}

func TestAcquireFuncDeliversOnce(t *testing.T) {
	type answer struct {
		lease pool.Lease[*conn]
		err   error
	}
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		want := func(deadline time.Time) (*[]answer, func() bool) {
			got := new([]answer)
			return got, p.AcquireFunc(deadline, func(l pool.Lease[*conn], err error) { *got = append(*got, answer{l, err}) })
		}
		first, cancel := want(time.Time{})
		synctest.Wait()
		if len(*first) != 1 || cancel() {
			t.Fatalf("%d deliveries, or a cancel after one", len(*first))
		}
		second, _ := want(time.Now().Add(time.Second))
		third, cancelThird := want(time.Now().Add(time.Hour))
		fourth, cancelFourth := want(time.Time{})
		time.Sleep(time.Second)
		synctest.Wait()
		var wait *pool.WaitError
		if len(*second) != 1 || !errors.As((*second)[0].err, &wait) || wait.Waited != time.Second {
			t.Fatalf("after its deadline the second got %v", *second)
		}
		if !cancelThird() || cancelThird() {
			t.Error("a client that waits can withdraw once")
		}
		(*first)[0].lease.Release()
		if len(*third) != 0 || len(*fourth) != 1 || (*fourth)[0].err != nil || cancelFourth() {
			t.Errorf("withdrawn: %d deliveries; last: %v", len(*third), *fourth)
		}
		expired, _ := want(time.Now())
		if len(*expired) != 1 || !errors.Is((*expired)[0].err, context.DeadlineExceeded) {
			t.Errorf("a deadline in the past got %v", *expired)
		}
		time.Sleep(2 * time.Hour) // timers of earlier uses ring into nothing
		synctest.Wait()
		(*fourth)[0].lease.Release()
		again, _ := want(time.Now().Add(time.Second))
		synctest.Wait()
		if len(*again) != 1 || (*again)[0].err != nil {
			t.Errorf("got %v", *again)
		}
		if s := p.Stats(); s.Cancelled != 1 || s.TimedOut != 2 {
			t.Errorf("%d withdrew, %d timed out; want 1, 2", s.Cancelled, s.TimedOut)
		}
	})
}

func TestDeliverMayUseThePool(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		served := 0
		for range 100 {
			p.AcquireFunc(time.Time{}, func(l pool.Lease[*conn], err error) {
				served++
				l.Release()
			})
		}
		holder.lease.Release()
		if served != 100 {
			t.Errorf("%d of 100 served", served)
		}
	})
}

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
		if s := p.Stats(); s.Idle != 4 {
			t.Errorf("%d idle after a quiet minute, want Min", s.Idle)
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

func TestAFinalErrorIsToldToAllWhoWait(t *testing.T) {
	denied := errors.New("password authentication failed")
	bubbleWith(t, eternal(4), func(h *pool.Hooks[*conn]) {
		h.Final = func(err error) bool { return errors.Is(err, denied) }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		w.endDial(denied)
		if a.err != denied || b.err != denied {
			t.Fatalf("got %v and %v, want the error as it is", a.err, b.err)
		}
		w.endDial(denied)
		if c := ask(p.Acquire, 0); c.err != denied {
			t.Errorf("a client during the backoff got %v, want the error at once", c.err)
		}
		if s := p.Stats(); s.Refused != 3 || s.DialFails != 2 {
			t.Errorf("%d refused, %d dials failed; want 3, 2", s.Refused, s.DialFails)
		}
		time.Sleep(time.Second)
		d := ask(p.Acquire, 0) // a new try
		w.endDial(nil)
		mustServe(t, d)
	})
}

func TestConfigureEndsABackoff(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.refuse = errRefused
		a := ask(p.Acquire, 0)
		time.Sleep(time.Minute)
		w.set(func() { w.refuse = nil })
		p.Configure(eternal(1))
		synctest.Wait()
		mustServe(t, a)
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

func TestRetireClosesWhatExists(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		a.lease.Release()
		p.Retire()
		synctest.Wait()
		if !w.opened[0].closed || w.opened[1].closed || !b.lease.Valid() {
			t.Fatal("want the idle one closed and the lent one kept")
		}
		b.lease.Release()
		c := ask(p.Acquire, 0)
		mustServe(t, c)
		if !w.opened[1].closed || c.lease.Conn().id != 2 {
			t.Error("the lent one came back to life")
		}
	})
}

func TestPauseHoldsLeasesBackUntilResume(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		drained := p.Pause()
		if p.Pause() != drained {
			t.Error("a second Pause gave another channel")
		}
		b := ask(p.Acquire, 0)
		select {
		case <-drained:
			t.Fatal("drained while one is lent")
		default:
		}
		a.lease.Release()
		<-drained
		mustWait(t, b)
		if _, ok := p.TryAcquire(); ok {
			t.Error("TryAcquire lent while paused")
		}
		p.Resume()
		synctest.Wait()
		mustServe(t, b)
		b.lease.Release()
		<-p.Pause()
		p.Resume()
	})
}

func TestPauseIsDrainedByADiscardAndAHijack(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		drained := p.Pause()
		a.lease.Discard(nil)
		c := b.lease.Hijack()
		<-drained
		synctest.Wait()
		if s := p.Stats(); s.Open != 0 || c.closed {
			t.Errorf("%d open, hijacked closed %t", s.Open, c.closed)
		}
		w.close(c)
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

func TestEventsTellWhatHappened(t *testing.T) {
	var events []pool.Event
	gone := errors.New("gone")
	bubbleWith(t, eternal(1), func(h *pool.Hooks[*conn]) {
		h.Event = func(e pool.Event) { events = append(events, e) }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a := ask(p.Acquire, 0)
		w.endDial(errRefused)
		time.Sleep(time.Second)
		synctest.Wait()
		w.endDial(nil)
		a.lease.Discard(gone)
		synctest.Wait()
		if len(events) != 3 {
			t.Fatalf("%d events: %v", len(events), events)
		}
		if e := events[0]; e.Kind != pool.DialFailed || e.Err != errRefused {
			t.Errorf("first %v", e)
		}
		if e := events[1]; e.Kind != pool.Dialed || e.Took <= 0 {
			t.Errorf("second %v", e)
		}
		if e := events[2]; e.Kind != pool.Closed || e.Reason != pool.Broken || e.Err != gone || e.Reason.String() != "broken" {
			t.Errorf("third %v", e)
		}
	})
}

func TestAWaitErrorExplainsItself(t *testing.T) {
	t.Run("the pool is too small", func(t *testing.T) {
		bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
			ask(p.Acquire, 0)
			ask(p.Acquire, 0)
			ask(p.Acquire, 0)
			c := ask(p.Acquire, 5*time.Second)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			const want = "pool: no connection after 5s: 2 of 2 open, 2 lent, 1 clients ahead: context deadline exceeded"
			if c.err == nil || c.err.Error() != want {
				t.Errorf("got  %v\nwant %s", c.err, want)
			}
		})
	})
	t.Run("the database is down", func(t *testing.T) {
		bubble(t, eternal(16), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
			w.refuse = errRefused
			c := ask(p.Acquire, 5*time.Second)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if c.err == nil || !strings.HasPrefix(c.err.Error(), "pool: no connection after 5s: 0 of 16 open, dialing failed ") ||
				!strings.HasSuffix(c.err.Error(), " times, last: connection refused") {
				t.Errorf("got %v", c.err)
			}
			if !errors.Is(c.err, errRefused) || !errors.Is(c.err, context.DeadlineExceeded) {
				t.Error("errors.Is does not see both")
			}
		})
	})
	t.Run("the cause of the context's end is seen", func(t *testing.T) {
		bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
			ask(p.Acquire, 0)
			cause := errors.New("client gone")
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(cause)
			if _, err := p.Acquire(ctx); !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
		})
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

func TestAHistogramCountsEachDurationBelowItsBound(t *testing.T) {
	bounds := pool.Bounds()
	for i, bound := range bounds {
		var h pool.Histogram
		h.Observe(bound)
		h.Observe(bound + 1)
		if h.Counts[i] != 1 || h.Counts[i+1] != 1 {
			t.Errorf("bound %v: %v", bound, h.Counts)
		}
	}
	var h, o pool.Histogram
	for range 95 {
		h.Observe(time.Millisecond)
	}
	for range 5 {
		o.Observe(time.Minute)
	}
	h.Merge(&o)
	if h.Count() != 100 || h.Sum != 95*time.Millisecond+5*time.Minute {
		t.Errorf("%d durations, sum %v", h.Count(), h.Sum)
	}
	if q := h.Quantile(0.95); q < time.Millisecond || q > 2*time.Millisecond {
		t.Errorf("p95 %v of 95 times 1ms", q)
	}
	if q := h.Quantile(0.99); q < time.Minute || q > 2*time.Minute {
		t.Errorf("p99 %v of 5 times 1m", q)
	}
	if q := new(pool.Histogram).Quantile(0.5); q != 0 {
		t.Errorf("median %v of nothing", q)
	}
}
