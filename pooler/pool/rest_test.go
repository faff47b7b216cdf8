package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// A pool that is not used looks at its connections once a second.
func TestAPoolThatRestsKnowsHowLongItHasRested(t *testing.T) {
	const idle = 10*time.Second + 900*time.Millisecond
	for name, c := range map[string]struct {
		after  time.Duration
		checks int
	}{
		"for longer than CheckAfter": {idle - time.Millisecond, 1},
		"for less":                   {idle + time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			checks := 0
			cfg := eternal(1)
			cfg.CheckAfter = c.after
			bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
				h.Check = func(context.Context, *conn) error { checks++; return nil }
			}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				ask(p.Acquire, 0).lease.Release()
				time.Sleep(idle)
				ask(p.Acquire, 0).lease.Release()
				if checks != c.checks {
					t.Errorf("%d checks, want %d", checks, c.checks)
				}
			})
		})
	}
}

func TestAPoolThatHasRestedLooksOftenAgainOnceItLends(t *testing.T) {
	const leak, often = 300 * time.Millisecond, 250 * time.Millisecond
	for rested := time.Minute; rested < time.Minute+time.Second; rested += often {
		reports := 0
		cfg := eternal(1)
		cfg.LeakAfter = leak
		bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
			h.Event = func(e pool.Event) {
				if e.Kind == pool.Leaked {
					reports++
				}
			}
		}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
			ask(p.Acquire, 0).lease.Release()
			time.Sleep(rested)
			held := ask(p.Acquire, 0)
			defer held.lease.Release()
			time.Sleep(leak + often + time.Millisecond)
			synctest.Wait()
			if reports != 1 {
				t.Errorf("after %v: %d reports, want one", rested, reports)
			}
		})
	}
}
