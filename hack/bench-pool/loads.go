package main

import (
	"context"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// A load runs once on one peer and returns one value for each of its figures.
type load struct {
	name    string
	figures []figure
	run     func(e entrant) []float64
}

// figure is one number that a load gives, and the row of the table it becomes.
type figure struct {
	name   string
	more   bool    // more is better
	target float64 // at most this, or at least if more is better
	bound  bool    // there is a target
	peer   float64 // what the best peer had when the target was set, so target/peer is the target as a ratio; 0: none
}

// atMost and atLeast are figures with a target, set when the best peer had this.
func atMost(name string, target, peer float64) figure {
	return figure{name: name, target: target, bound: true, peer: peer}
}

func atLeast(name string, target, peer float64) figure {
	return figure{name: name, more: true, target: target, bound: true, peer: peer}
}

// shown is a figure without a target.
func shown(name string) figure { return figure{name: name} }

// loads are run in this order. docs/development/pool-benchmark.md says what each stands for.
var loads = []load{
	{"alone", []figure{atMost("CPU ns", 60, 104), atMost("allocations", 0, 0)}, alone},
	{"64 on 8", []figure{atMost("CPU ns", 330, 429)}, crowd},
	{"1000 on 64", []figure{atMost("p99 wait, ms", 2.5, 4.2)}, throng},
	{"IO-like", []figure{atMost("most / least served", 1.02, 1.01)}, share},
	{"spike", []figure{atMost("all served after, ms", 25, 153), atMost("dials", 4, 45)}, spike},
	{"ramp", []figure{atLeast("served in 500 ms", 1800, 1890)}, ramp},
	{"overload", []figure{atLeast("served / s", 1250, 1366), shown("p99 wait, ms")}, overload},
	{"overload, shedding", []figure{atLeast("served / s", 1250, 1366), shown("p99 wait, ms")}, overloadShedding},
	{"failover", []figure{atMost("parallel dials", float64(pool.DefaultConfig().MaxDials), 0), atMost("longest wait, ms", 60, 0)}, failover},
}

// must is acquire where no error is possible but by a mistake in the pool or here.
func must(ctx context.Context, p peer) lease {
	l, err := p.acquire(ctx)
	if err != nil {
		panic(err)
	}
	return l
}

// fill opens n connections, by holding as many at once, and leaves them idle.
func fill(p peer, n int) {
	held := hold(p, n)
	for _, l := range held {
		p.release(l)
	}
}

// hold acquires n connections, side by side.
func hold(p peer, n int) []lease {
	held := make([]lease, n)
	together(n, func(i int) { held[i] = must(context.Background(), p) })
	return held
}

// together runs n clients that begin at the same time, and waits for them.
func together(n int, client func(i int)) {
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-begin
			client(i)
		})
	}
	ready.Wait()
	close(begin)
	done.Wait()
}

// query holds the connection for so long, as one does that waits for an answer.
func query(d time.Duration) { time.Sleep(d) }
