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

// withReserve is a pool of 4 connections of which 1 is reserved.
func withReserve() pool.Config {
	cfg := eternal(4)
	cfg.Reserve = 1
	return cfg
}

func TestTheReserveIsLentToTheHighestClassOnly(t *testing.T) {
	bubble(t, withReserve(), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b, c := ask(p.Acquire, 0), ask(p.Acquire, 0, pool.Class(1)), ask(p.Acquire, 0, pool.Class(2))
		mustServe(t, a, b, c)
		low := ask(p.Acquire, 0, pool.Class(2))
		mustWait(t, low)
		if w.dialed() != 3 {
			t.Errorf("%d dials, want 3: nobody waits who may have the fourth", w.dialed())
		}
		high := ask(p.Acquire, 0, pool.Class(3))
		mustServe(t, high)
		high.lease.Release()
		synctest.Wait()
		mustWait(t, low)
		if _, ok := p.TryAcquire(pool.Class(2)); ok {
			t.Error("the idle connection of the reserve was lent to class 2")
		}
		if l, ok := p.TryAcquire(pool.Class(3)); !ok {
			t.Error("the idle connection of the reserve was not lent to class 3")
		} else {
			l.Release()
		}
		b.lease.Release()
		synctest.Wait()
		mustServe(t, low)
	})
}

func TestTheHighestClassMayHaveMoreThanTheReserveAndStarvesNobody(t *testing.T) {
	cfg := withReserve()
	cfg.Queue.Weights = [4]int{1, 1, 1, 1}
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var holders []*client
		for range 4 {
			holders = append(holders, ask(p.Acquire, 0, pool.Class(3)))
		}
		mustServe(t, holders...)
		high, low := ask(p.Acquire, 0, pool.Class(3)), ask(p.Acquire, 0)
		holders[0].lease.Release()
		holders[1].lease.Release()
		synctest.Wait()
		mustServe(t, high, low)
	})
}

func TestAReserveLeavesTheOthersOnePlaceUnderALowerLimit(t *testing.T) {
	bubbleSet(t, 10, withReserve(), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		s.Limit("a", 1)
		mustServe(t, ask(of(s, "a"), 0))
	})
}

func TestWhoWaitsBesideAReserveIsToldOfIt(t *testing.T) {
	bubble(t, withReserve(), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		for range 3 {
			ask(p.Acquire, 0)
		}
		low := ask(p.Acquire, time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		if err := low.failed(); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 of 4 open, 3 lent, 1 reserved,") {
			t.Errorf("told %v", err)
		}
	})
}

func TestWithoutQueueTheReserveIsFullForTheOthersOnly(t *testing.T) {
	cfg := withReserve()
	cfg.MaxWaiting = 0
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		for range 3 {
			ask(p.Acquire, 0)
		}
		if low := ask(p.Acquire, 0); !errors.Is(low.failed(), pool.ErrQueueFull) {
			t.Errorf("told %v, want ErrQueueFull", low.failed())
		}
		mustServe(t, ask(p.Acquire, 0, pool.Class(3)))
	})
}

func TestWhatTheReserveGivesIsNoTurn(t *testing.T) {
	cfg := eternal(2)
	cfg.Reserve = 1
	cfg.Queue.Weights = [4]int{1, 1, 1, 1}
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		low, high := ask(p.Acquire, 0), ask(p.Acquire, 0, pool.Class(3))
		second, third := ask(p.Acquire, 0), ask(p.Acquire, 0)
		for range 10 { // the others cannot have this connection, so they are owed nothing for it
			next := ask(p.Acquire, 0, pool.Class(3))
			high.lease.Release()
			synctest.Wait()
			mustServe(t, next)
			high = next
		}
		next := ask(p.Acquire, 0, pool.Class(3))
		low.lease.Release()
		synctest.Wait()
		mustServe(t, second)
		second.lease.Release() // that was their turn
		synctest.Wait()
		mustServe(t, next)
		mustWait(t, third)
	})
}
