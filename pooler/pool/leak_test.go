package pool_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// forgetful acquires and does not release.
func forgetful(t *testing.T, p *pool.Pool[*conn]) pool.Lease[*conn] {
	l, err := p.Acquire(context.Background())
	if err != nil {
		t.Error(err)
	}
	return l
}

func TestALeaseHeldForTooLongIsReportedOnceWithWhereItWasAcquired(t *testing.T) {
	for _, c := range []struct {
		name string
		idle bool // a connection is idle when the client asks
	}{{"acquired at once", true}, {"acquired after a wait", false}} {
		t.Run(c.name, func(t *testing.T) {
			leaks := make(chan pool.Event, 8)
			cfg := eternal(1)
			cfg.LeakAfter = 10 * time.Second
			bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
				h.Event = func(e pool.Event) {
					if e.Kind == pool.Leaked {
						leaks <- e
					}
				}
			}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				if c.idle {
					ask(p.Acquire, 0).lease.Release()
				}
				l := forgetful(t, p)
				time.Sleep(9 * time.Second)
				synctest.Wait()
				if len(leaks) != 0 {
					t.Fatalf("reported before LeakAfter: %v", <-leaks)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(leaks) != 1 || p.Stats().Leaked != 1 {
					t.Fatalf("%d reports, %d counted; want 1", len(leaks), p.Stats().Leaked)
				}
				if e := <-leaks; e.Took < 10*time.Second || e.Took > 11*time.Second || !strings.Contains(e.Where, "forgetful\n\t") {
					t.Errorf("held for %v, acquired at\n%s", e.Took, e.Where)
				}
				if !l.Valid() {
					t.Error("the report ended the lease")
				}
				l.Release()
				l = forgetful(t, p)
				time.Sleep(5 * time.Second)
				l.Release()
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(leaks) != 0 {
					t.Errorf("%d more reports, although the second lease was released in time", len(leaks))
				}
			})
		})
	}
}
