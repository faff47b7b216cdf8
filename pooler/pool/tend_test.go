package pool_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestIdleConnectionsAreCheckedAtEachKeepalive(t *testing.T) {
	var mu sync.Mutex
	dead := make(map[*conn]bool)
	checks := make(map[int]int)
	cfg := eternal(8)
	cfg.Min, cfg.Keepalive, cfg.CheckAfter = 8, time.Minute, -1
	most := 0 // checks at one time
	bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
		h.Check = func(_ context.Context, c *conn) error {
			mu.Lock()
			checks[c.id]++
			gone := dead[c]
			mu.Unlock()
			if gone {
				return errors.New("closed by the server")
			}
			time.Sleep(100 * time.Millisecond)
			return nil
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		for range 4 * 600 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			s := p.Stats()
			most = max(most, s.Resetting)
			if s.Idle+s.Resetting != 8 || s.Open != 8 {
				t.Fatalf("%d idle, %d being checked, %d open; want 8", s.Idle, s.Resetting, s.Open)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for id, n := range checks {
			if n < 3 || n > 5 {
				t.Errorf("connection %d was checked %d times in 4 minutes, want 3 to 5", id, n)
			}
		}
		if len(checks) != 8 || most > 2 {
			t.Errorf("%d connections checked, at most %d at a time; want 8, and spread out", len(checks), most)
		}
		dead[w.opened[3]] = true
		mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		mu.Lock()
		if s := p.Stats(); s.ClosedBroken != 1 || s.Idle+s.Resetting != 8 {
			t.Errorf("%d broken, %d left; want 1, and another dialed for it", s.ClosedBroken, s.Idle+s.Resetting)
		}
	})
}

func TestAKeepaliveCheckIsNoUse(t *testing.T) {
	cfg := eternal(3)
	cfg.Keepalive, cfg.IdleTime, cfg.CheckAfter = 10*time.Second, time.Minute, -1
	bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
		h.Check = func(context.Context, *conn) error { return nil }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		a.lease.Release()
		time.Sleep(5 * time.Second)
		b.lease.Release()
		time.Sleep(40 * time.Second)
		synctest.Wait()
		c := ask(p.Acquire, 0)
		if id := c.lease.Conn().id; id != 1 {
			t.Errorf("connection %d lent, want the warmest", id)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if s := p.Stats(); s.ClosedIdle != 1 || s.Open != 1 {
			t.Errorf("%d closed for idling, %d open; want 1 and 1 although it was checked", s.ClosedIdle, s.Open)
		}
	})
}

func TestAConnectionIsNotLentWhileItsKeepaliveRuns(t *testing.T) {
	cfg := eternal(1)
	cfg.Keepalive, cfg.CheckAfter = 10*time.Second, -1
	bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
		h.Check = func(context.Context, *conn) error { time.Sleep(time.Second); return nil }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		ask(p.Acquire, 0).lease.Release()
		for p.Stats().Resetting == 0 {
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
		}
		if _, ok := p.TryAcquire(); ok {
			t.Fatal("lent while being checked")
		}
		a := ask(p.Acquire, 0)
		mustWait(t, a)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, a)
		a.lease.Release()
		if s := p.Stats(); s.Idle != 1 || w.dialed() != 1 {
			t.Errorf("%d idle, %d dials; want 1, 1", s.Idle, w.dialed())
		}
	})
}
