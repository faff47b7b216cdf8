package pool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// serveInTurns lets clients of all classes wait for one connection and returns the classes in the order they are served.
func serveInTurns(p *pool.Pool[*conn], of [4]int) (order []int) {
	holder := ask(p.Acquire, 0)
	var waiting []*client
	var class []int
	for c, n := range of {
		for range n {
			waiting = append(waiting, ask(p.Acquire, 0, pool.Class(c)))
			class = append(class, c)
		}
	}
	lease := holder.lease
	for range waiting {
		lease.Release()
		synctest.Wait()
		for i, c := range waiting {
			if c != nil && c.served() {
				order = append(order, class[i])
				lease, waiting[i] = c.lease, nil
			}
		}
	}
	lease.Release()
	return order
}

func TestClassesAreServedByTheirWeightsAndNoneStarves(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights [4]int
		want    [4]int // in one round
	}{
		{"by default 1, 2, 4, 8", [4]int{}, [4]int{1, 2, 4, 8}},
		{"all alike", [4]int{5, 5, 5, 5}, [4]int{1, 1, 1, 1}},
		{"one far above", [4]int{1, 1, 1, 17}, [4]int{1, 1, 1, 17}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := eternal(1)
			cfg.Queue.Weights = c.weights
			bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				order := serveInTurns(p, [4]int{40, 40, 40, 40})
				if len(order) != 160 {
					t.Fatalf("%d served of 160", len(order))
				}
				round := 0
				for _, n := range c.want {
					round += n
				}
				for end := round; end <= 2*round; end++ { // while all classes wait
					var got [4]int
					for _, class := range order[:end] {
						got[class]++
					}
					for class, n := range got {
						share := float64(end*c.want[class]) / float64(round)
						if d := float64(n) - share; d < -2 || d > 2 {
							t.Fatalf("class %d served %d times of %d, want %.1f, give or take two", class, n, end, share)
						}
						if end%round == 0 && n != end/round*c.want[class] {
							t.Fatalf("class %d served %d times in %d rounds", class, n, end/round)
						}
					}
				}
			})
		})
	}
}

func TestInAClassTheOldestIsServedFirst(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		a, b := ask(p.Acquire, 0, pool.Class(2)), ask(p.Acquire, 0, pool.Class(2))
		c := ask(p.Acquire, 0, pool.Class(99)) // taken as 3
		holder.lease.Release()
		synctest.Wait()
		mustServe(t, c)
		mustWait(t, a, b)
		c.lease.Release()
		synctest.Wait()
		mustServe(t, a)
		mustWait(t, b)
	})
}

func TestAStandingQueueIsShedFromItsOldEndAndServedFromItsNew(t *testing.T) {
	cfg := eternal(1)
	cfg.Queue.Adaptive = true
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		mustServe(t, holder)
		patient := ask(p.Acquire, 0, pool.Patient())
		old := []*client{ask(p.Acquire, 0), ask(p.Acquire, 0)}
		time.Sleep(time.Second) // spans of 100 ms pass in which nobody is served
		synctest.Wait()
		for _, c := range old {
			if !errors.Is(c.failed(), pool.ErrShed) {
				t.Fatalf("an old client got %v, want ErrShed", c.failed())
			}
		}
		mustWait(t, patient)
		holder.lease.Release()
		synctest.Wait()
		mustServe(t, patient)
		first, second := ask(p.Acquire, 0), ask(p.Acquire, 0)
		patient.lease.Release()
		synctest.Wait()
		if second.served() {
			mustWait(t, first)
		} else {
			mustServe(t, first) // the queue emptied in between: it does not stand any more
		}
		if s := p.Stats(); s.Shed != 2 {
			t.Errorf("%d shed, want 2", s.Shed)
		}
	})
}

func TestWhileTheQueueStandsTheNewestIsServedFirst(t *testing.T) {
	cfg := eternal(1)
	cfg.Queue.Adaptive = true
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		for range 10 { // a client every 60 ms, nobody served: the queue stands
			ask(p.Acquire, 0)
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(80 * time.Millisecond)
		older := ask(p.Acquire, 0)        // too new to be shed
		time.Sleep(80 * time.Millisecond) // 760 ms: the third tick has judged
		synctest.Wait()
		newer := ask(p.Acquire, 0)
		holder.lease.Release()
		synctest.Wait()
		mustServe(t, newer)
		mustWait(t, older)
	})
}

func TestAQueueThatEmptiesIsNotShed(t *testing.T) {
	cfg := eternal(1)
	cfg.Queue.Adaptive = true
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		for range 20 { // bursts that wait for 80 ms and are served
			holder := ask(p.Acquire, 0)
			mustServe(t, holder)
			a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
			time.Sleep(80 * time.Millisecond)
			holder.lease.Release()
			synctest.Wait()
			mustServe(t, a)
			a.lease.Release()
			synctest.Wait()
			mustServe(t, b)
			b.lease.Release()
		}
		if s := p.Stats(); s.Shed != 0 || s.TimedOut != 0 {
			t.Errorf("%d shed, %d timed out; want none", s.Shed, s.TimedOut)
		}
	})
}

func TestWithoutAdaptiveNobodyIsShed(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		time.Sleep(time.Hour)
		mustWait(t, a, b)
		holder.lease.Release()
		synctest.Wait()
		mustServe(t, a)
		mustWait(t, b)
	})
}

func TestTheOldestWaitIsThatOfAllClasses(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		ask(p.Acquire, 0)
		for _, class := range []int{1, 0, 3} {
			ask(p.Acquire, 0, pool.Class(class))
			time.Sleep(time.Second)
		}
		if got := p.Stats().Oldest; got != 3*time.Second {
			t.Errorf("oldest wait %v, want 3s", got)
		}
	})
}
