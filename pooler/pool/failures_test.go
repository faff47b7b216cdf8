package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// The patterns by which pools fail, each by its name. Most were seen in a widely used pool.

func TestNoWakeUpIsLostBetweenLookAndEnqueue(t *testing.T) {
	// Two clients meet at one connection; whoever comes second must be woken by whoever came first, always.
	w := new(world)
	p, err := pool.New(eternal(1), w.hooks())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for range 20_000 {
				l, err := p.Acquire(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				l.Release()
			}
		})
	}
	clients.Wait()
}

func TestACancelThatRacesDeliveryLeaksNeitherConnectionNorTurn(t *testing.T) {
	w := new(world)
	p, err := pool.New(eternal(1), w.hooks())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	for range 2_000 {
		held, err := p.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var race sync.WaitGroup
		var delivered atomic.Int32
		place := p.AcquireFunc(time.Time{}, func(l pool.Lease[*conn], err error) {
			delivered.Add(1)
			l.Release()
		})
		var withdrawn bool
		race.Go(func() {
			if l, err := p.Acquire(ctx); err == nil {
				l.Release()
			}
		})
		race.Go(cancel)
		race.Go(func() { withdrawn = place.Leave() })
		race.Go(held.Release)
		race.Wait()
		if got := delivered.Load(); withdrawn == (got == 1) {
			t.Fatalf("withdrawn %t, delivered %d times", withdrawn, got)
		}
		if s := p.Stats(); s.Lent != 0 || s.Waiting != 0 || s.Open != 1 {
			t.Fatalf("after all ended: %d lent, %d waiting, %d open; want 0, 0, 1", s.Lent, s.Waiting, s.Open)
		}
	}
}

func TestACancelAtTheHeadLeavesNoGarbageBeforeALiveHead(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		var quitters []*client
		for range 3 {
			quitters = append(quitters, ask(p.Acquire, 0))
		}
		live := ask(p.Acquire, 0)
		for _, q := range quitters {
			q.cancel()
		}
		synctest.Wait()
		if n := p.Stats().Waiting; n != 1 {
			t.Fatalf("%d wait after three of four gave up", n)
		}
		holder.lease.Release()
		synctest.Wait()
		mustServe(t, live)
	})
}

func TestNothingIsDeliveredToTheExpired(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		// A context whose deadline has passed but whose end has not come through, as when CPU is short.
		lagging := &client{}
		ctx, end := context.WithCancel(context.Background())
		defer end()
		go func() {
			lagging.lease, lagging.err = p.Acquire(laggingContext{ctx, time.Now().Add(time.Second)})
			lagging.done.Store(true)
		}()
		synctest.Wait()
		next := ask(p.Acquire, 0)
		time.Sleep(2 * time.Second)
		mustWait(t, lagging)
		holder.lease.Release()
		synctest.Wait()
		if !errors.Is(lagging.err, context.DeadlineExceeded) {
			t.Errorf("the expired client got %v, want its deadline", lagging.err)
		}
		mustServe(t, next)
	})
}

// laggingContext has a deadline and does not act on it.
type laggingContext struct {
	context.Context
	deadline time.Time
}

func (c laggingContext) Deadline() (time.Time, bool) { return c.deadline, true }

func TestALeaseIsTakenBackFromAClientThatIsDoneWhenItWakes(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		late := ask(p.Acquire, 0)
		holder.lease.Release() // delivers,
		late.cancel()          // and before the client has run its context is done
		synctest.Wait()
		if late.served() {
			late.lease.Release() // it woke between the two: as good
		} else if !errors.Is(late.err, context.Canceled) {
			t.Errorf("got %v, want the end of the context", late.err)
		}
		synctest.Wait()
		if s := p.Stats(); s.Idle != 1 || s.Lent != 0 {
			t.Errorf("%d idle, %d lent; want 1, 0", s.Idle, s.Lent)
		}
	})
}

func TestARaiseOfMaxServesWaiters(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		ask(p.Acquire, 0)
		a, b, c := ask(p.Acquire, 0), ask(p.Acquire, 0), ask(p.Acquire, 0)
		if err := p.Configure(eternal(3)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mustServe(t, a, b)
		mustWait(t, c)
	})
}

func TestShrinkThenGrowWhileLentLeavesNoPlaceTooMany(t *testing.T) {
	bubble(t, eternal(4), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var holders []*client
		for range 4 {
			holders = append(holders, ask(p.Acquire, 0))
		}
		p.Configure(eternal(2))
		holders[0].lease.Release()
		synctest.Wait()
		p.Configure(eternal(4))
		for range 6 {
			holders = append(holders, ask(p.Acquire, 0))
		}
		if s := p.Stats(); s.Open != 4 || s.Lent != 4 || w.peak != 4 {
			t.Errorf("%d open, %d lent, at most %d at the server; want 4, 4, 4", s.Open, s.Lent, w.peak)
		}
	})
}

func TestOpenFallsToALowerMaxAndDoesNotRiseMeanwhile(t *testing.T) {
	bubble(t, eternal(4), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var holders []*client
		for range 4 {
			holders = append(holders, ask(p.Acquire, 0))
		}
		holders[3].lease.Release()
		waiter := ask(p.Acquire, 0) // takes the idle one
		holders[3] = waiter
		p.Configure(eternal(2))
		next := ask(p.Acquire, 0)
		for i, want := range []int{3, 2, 2} {
			holders[i].lease.Release()
			synctest.Wait()
			if s := p.Stats(); s.Open != want {
				t.Fatalf("%d open after release %d, want %d", s.Open, i+1, want)
			}
		}
		mustServe(t, next)
	})
}

func TestTheLastConnectionDiesWithWaitersQueued(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		a := ask(p.Acquire, 0)
		holder.lease.Discard(errors.New("broken pipe"))
		synctest.Wait()
		mustServe(t, a)
		if s := p.Stats(); s.ClosedBroken != 1 || w.dialed() != 2 {
			t.Errorf("%d broken, %d dials; want 1, 2", s.ClosedBroken, w.dialed())
		}
	})
}

func TestADialFailsWithWaitersQueuedAndIsTriedAgain(t *testing.T) {
	bubble(t, eternal(4), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.set(func() { w.refuse = errRefused })
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		if w.dialed() != 1 {
			t.Fatalf("%d dials: the second client must wait for the retry", w.dialed())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		mustWait(t, a, b)
		// 100 ms and its doubles up to 5 s, each times ½…1: at least 10 tries in 30 s, at most 20.
		if w.dialed() < 10 || w.dialed() > 20 {
			t.Errorf("%d dials in 30 s of failure, want 10 to 20", w.dialed())
		}
		s := p.Stats()
		if s.Failing != 1 || s.DialError != errRefused || time.Since(s.FailingSince) < 29*time.Second {
			t.Errorf("failing %d since %v with %v", s.Failing, s.FailingSince, s.DialError)
		}
		w.set(func() { w.refuse = nil })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		mustServe(t, a, b)
		if s := p.Stats(); s.Failing != 0 || s.DialError != nil || s.LastDialed.IsZero() {
			t.Errorf("after success: failing %d, %v, last dialed %v", s.Failing, s.DialError, s.LastDialed)
		}
	})
}

func TestTheIdleSweepDoesNotEmptyTheStackUnderTraffic(t *testing.T) {
	cfg := eternal(4)
	cfg.IdleTime = 10 * time.Second
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all []*client
		for range 4 {
			all = append(all, ask(p.Acquire, 0))
		}
		for _, c := range all {
			c.lease.Release()
		}
		for range 300 { // one client at a time, every 100 ms
			c := ask(p.Acquire, 0)
			mustServe(t, c)
			c.lease.Release()
			time.Sleep(100 * time.Millisecond)
		}
		if s := p.Stats(); w.dialed() != 4 || s.Idle != 1 || s.ClosedIdle != 3 {
			t.Errorf("%d dials, %d idle, %d closed for idling; want 4, 1, 3", w.dialed(), s.Idle, s.ClosedIdle)
		}
	})
}

func TestACohortDoesNotExpireAtOnce(t *testing.T) {
	cfg := eternal(20)
	cfg.Min, cfg.Lifetime = 20, time.Hour
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.ClosedAge != 0 || s.Idle != 20 {
			t.Fatalf("%d closed before 0.9 of the lifetime, %d idle", s.ClosedAge, s.Idle)
		}
		least, closed := 20, uint64(0)
		for range 10*60 + 5 {
			time.Sleep(time.Second)
			synctest.Wait()
			s := p.Stats()
			if s.ClosedAge > closed+10 {
				t.Fatalf("%d expired in one second", s.ClosedAge-closed)
			}
			least, closed = min(least, s.Idle), s.ClosedAge
		}
		if s := p.Stats(); s.ClosedAge < 20 || s.Idle != 20 || least < 15 {
			t.Errorf("%d closed for age, %d idle, at least %d all along; want 20 or more, 20, 15 or more", s.ClosedAge, s.Idle, least)
		}
	})
}

func TestALifetimeShorterThanADialStillServes(t *testing.T) {
	cfg := eternal(1)
	cfg.Lifetime = time.Millisecond
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.dialFor = time.Second
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, a)
		time.Sleep(time.Second)
		a.lease.Release()
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, b)
		if w.dialed() != 2 {
			t.Errorf("%d dials, want one for each lease", w.dialed())
		}
	})
}

func TestNotEverybodyRedialsAfterAFailover(t *testing.T) {
	cfg := eternal(64)
	cfg.MaxDials = 8
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.dialFor = 10 * time.Millisecond
		var holders []*client
		for range 64 {
			holders = append(holders, ask(p.Acquire, 0))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, holders...)
		w.mostParallel = 0
		for i, c := range holders {
			c.lease.Discard(errors.New("terminated by the administrator"))
			holders[i] = &client{}
		}
		synctest.Wait()
		for i := range holders {
			holders[i] = ask(p.Acquire, 0)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, holders...)
		if w.mostParallel > 8 {
			t.Errorf("%d dials at once, MaxDials 8", w.mostParallel)
		}
	})
}

func TestOneHungDialDoesNotBlockAll(t *testing.T) {
	bubble(t, eternal(4), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a := ask(p.Acquire, 0) // its dial hangs
		w.set(func() { w.manual = false })
		b, c := ask(p.Acquire, 0), ask(p.Acquire, 0)
		mustServe(t, a, b) // whatever comes first, to the oldest
		b.lease.Release()
		synctest.Wait()
		mustServe(t, c)
	})
}

func TestAHungDialEndsAfterDialTimeout(t *testing.T) {
	cfg := eternal(1)
	cfg.DialTimeout = 10 * time.Second
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a := ask(p.Acquire, 0)
		w.set(func() { w.manual = false })
		time.Sleep(11 * time.Second)
		synctest.Wait()
		mustServe(t, a)
	})
}

func TestAReleaserThatComputesOnYieldsToTheClientItWoke(t *testing.T) {
	// With one CPU, the client that was handed the connection must run before the releaser computes on.
	w := new(world)
	p, err := pool.New(eternal(1), w.hooks())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	late := 0
	const rounds = 200
	onOneCPU(func() {
		for range rounds {
			l, err := p.Acquire(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var ran atomic.Bool
			done := make(chan struct{})
			go func() {
				l, err := p.Acquire(context.Background())
				ran.Store(true)
				if err == nil {
					l.Release()
				}
				close(done)
			}()
			for p.Stats().Waiting == 0 {
				yield()
			}
			l.Release()
			for begin := time.Now(); time.Since(begin) < 200*time.Microsecond; { // computes on
			}
			if !ran.Load() {
				late++
			}
			<-done
		}
	})
	if late > rounds/4 { // who is first is not yielded to, and the scheduler may pick another goroutine now and then
		t.Errorf("the woken client had not run when the releaser had computed on, %d times of %d", late, rounds)
	}
}

func TestAcquireWhileHoldingWorksWithOneConnectionMoreThanDeadlock(t *testing.T) {
	// Threads that hold n-1 connections and want one more need T·(n-1)+1 to go on.
	const threads, each = 4, 3
	bubble(t, eternal(threads*(each-1)+1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all sync.WaitGroup
		for range threads {
			all.Go(func() {
				var held []pool.Lease[*conn]
				for range each {
					l, err := p.Acquire(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					held = append(held, l)
					time.Sleep(time.Millisecond)
				}
				for _, l := range held {
					l.Release()
				}
			})
		}
		all.Wait()
	})
}
