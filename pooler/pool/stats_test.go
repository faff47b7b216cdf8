package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

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

// A password that was changed at the server keeps no client from the connections that were opened before.
func TestAFinalErrorIsNotToldToThoseWhoCanHaveAConnectionOfBefore(t *testing.T) {
	denied := errors.New("password authentication failed")
	bubbleWith(t, eternal(4), func(h *pool.Hooks[*conn]) {
		h.Final = func(err error) bool { return errors.Is(err, denied) }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		before := ask(p.Acquire, 0)
		w.endDial(nil)
		mustServe(t, before)
		waits := ask(p.Acquire, 0)
		w.endDial(denied)
		mustWait(t, waits)
		before.lease.Release()
		synctest.Wait()
		mustServe(t, waits)
		waits.lease.Release()
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
}
