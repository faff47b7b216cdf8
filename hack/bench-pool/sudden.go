package main

import (
	"context"
	"sync/atomic"
	"time"
)

// spike is 50 clients that come at once for one query of 2 ms each, where 5 connections are idle after some traffic and
// a dial takes 150 ms. Ten rounds of five take 20 ms: who dials, waits for nothing.
func spike(e entrant) []float64 {
	const clients, warm, dial, answer = 50, 5, 150 * time.Millisecond, 2 * time.Millisecond
	s := new(server)
	s.watch(dial)
	p, ctx := e.open(s, clients), context.Background()
	defer p.close()
	fill(p, warm)
	together(warm, func(int) {
		for range 100 { // the pool may learn how long a connection is held
			l := must(ctx, p)
			query(answer)
			p.release(l)
		}
	})
	startMeter()
	s.watch(dial)
	begin := time.Now()
	together(clients, func(int) {
		l := must(ctx, p)
		query(answer)
		p.release(l)
	})
	return []float64{milliseconds(time.Since(begin)), float64(s.dials.Load())}
}

// ramp is 40 clients that come at once to an empty pool and stay, with queries of 10 ms, where a dial takes 30 ms: the
// counter-test to the spike, as here each dial pays. It counts the leases given in 500 ms.
func ramp(e entrant) []float64 {
	const clients, dial, answer, span = 40, 30 * time.Millisecond, 10 * time.Millisecond, 500 * time.Millisecond
	s := new(server)
	s.watch(dial)
	p, ctx := e.open(s, clients), context.Background()
	defer p.close()
	startMeter()
	var served atomic.Int64
	end := time.Now().Add(span)
	together(clients, func(int) {
		for {
			l := must(ctx, p)
			if time.Now().After(end) {
				p.release(l)
				return
			}
			served.Add(1)
			query(answer)
			p.release(l)
		}
	})
	return []float64{float64(served.Load())}
}

// overload is 4,000 clients that each give up after 20 ms and come again, on 8 connections with queries of 5 ms. It counts
// the queries of clients that were served in time, and how long Acquire takes, whatever it returns.
func overload(e entrant) []float64 {
	const clients, connections, patience, answer, span = 4000, 8, 20 * time.Millisecond, 5 * time.Millisecond, 2 * time.Second
	p := e.open(new(server), connections)
	defer p.close()
	fill(p, connections)
	startMeter()
	var served atomic.Int64
	waits := make([][]time.Duration, clients)
	end := time.Now().Add(span)
	together(clients, func(i int) {
		for time.Now().Before(end) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			begin := time.Now()
			l, err := p.acquire(ctx)
			waits[i] = append(waits[i], time.Since(begin))
			if err == nil {
				if time.Since(begin) < patience { // else the client's own caller has given up
					query(answer)
					served.Add(1)
				}
				p.release(l)
			}
			cancel()
		}
	})
	var all []time.Duration
	for _, own := range waits {
		all = append(all, own...)
	}
	return []float64{float64(served.Load()) / span.Seconds(), quantile(all, 0.99)}
}

// overloadShedding is overload where Weir may shed load. The peers do as before.
func overloadShedding(e entrant) []float64 {
	if e.name == "weir" {
		e.open = openShedding
	}
	return overload(e)
}

// failover is 64 connections, all lent, that break at once while 64 other clients wait, who stay, with queries of 10 ms,
// where a dial takes 30 ms. It tells how many dials the new server saw at once, and how long the last of those clients
// waited from the break on.
func failover(e entrant) []float64 {
	const connections, dial, answer = 64, 30 * time.Millisecond, 10 * time.Millisecond
	s := new(server)
	p, ctx := e.open(s, connections), context.Background()
	defer p.close()
	held := hold(p, connections)
	startMeter()
	idle := parked()

	var broken atomic.Int64 // when, in nanoseconds since began
	began := time.Now()
	waits := make([]time.Duration, connections)
	var left atomic.Int64
	left.Store(connections)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		together(connections, func(i int) {
			for first := true; first || left.Load() > 0; first = false {
				l := must(ctx, p)
				if first {
					waits[i] = time.Since(began) - time.Duration(broken.Load())
					left.Add(-1)
				}
				query(answer)
				p.release(l)
			}
		})
	}()
	for parked() < idle+connections+1 { // no peer tells how many wait: all do, and who waits for them
		time.Sleep(time.Millisecond)
	}
	s.watch(dial)
	broken.Store(int64(time.Since(began)))
	together(connections, func(i int) { p.discard(held[i]) })
	<-settled
	return []float64{float64(s.peak.Load()), quantile(waits, 1)}
}
