package pool_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
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
			return got, p.AcquireFunc(deadline, func(l pool.Lease[*conn], err error) { *got = append(*got, answer{l, err}) }).Leave
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

func TestClientsThatAreToldTogetherAreToldInOrder(t *testing.T) {
	bubble(t, eternal(0), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var order []int
		for i := range 5 {
			p.AcquireFunc(time.Time{}, func(pool.Lease[*conn], error) { order = append(order, i) })
		}
		closeNow(p.Close)
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("told in the order %v", order)
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
