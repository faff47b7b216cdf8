package main

import (
	"context"
	"runtime"
	"slices"
	"time"
)

// alone is one client that acquires and releases, nothing else: the cost of the pool without any competition.
func alone(e entrant) []float64 {
	const operations = 2_000_000
	p, ctx := e.open(new(server), 8), context.Background()
	defer p.close()
	fill(p, 1)
	m := startMeter()
	for range operations {
		p.release(must(ctx, p))
	}
	cpu, allocations := m.per(operations)
	return []float64{cpu, allocations}
}

// crowd is 64 clients on 8 connections. Who has one lets the others run once before releasing it, as one does that waits for
// an answer: otherwise no more connections would be lent than there are CPUs, and nobody would ever wait.
func crowd(e entrant) []float64 {
	const clients, connections, each = 64, 8, 10_000
	p, ctx := e.open(new(server), connections), context.Background()
	defer p.close()
	fill(p, connections)
	m := startMeter()
	together(clients, func(int) {
		for range each {
			l := must(ctx, p)
			runtime.Gosched()
			p.release(l)
		}
	})
	cpu, _ := m.per(clients * each)
	return []float64{cpu}
}

// throng is 1000 clients on 64 connections that do as those of crowd, and how long they wait.
func throng(e entrant) []float64 {
	const clients, connections, each = 1000, 64, 400
	p, ctx := e.open(new(server), connections), context.Background()
	defer p.close()
	fill(p, connections)
	waits := make([]time.Duration, clients*each)
	startMeter()
	together(clients, func(i int) {
		own := waits[i*each : (i+1)*each]
		for k := range own {
			begin := time.Now()
			l := must(ctx, p)
			own[k] = time.Since(begin)
			runtime.Gosched()
			p.release(l)
		}
	})
	return []float64{quantile(waits, 0.99)}
}

// share is 64 clients on 8 connections that hold each for a query of 1 ms: who is served most, and who least.
func share(e entrant) []float64 {
	const clients, connections, span = 64, 8, 2 * time.Second
	p, ctx := e.open(new(server), connections), context.Background()
	defer p.close()
	fill(p, connections)
	served := make([]int, clients)
	end := time.Now().Add(span)
	together(clients, func(i int) {
		for time.Now().Before(end) {
			l := must(ctx, p)
			query(time.Millisecond)
			p.release(l)
			served[i]++
		}
	})
	return []float64{float64(slices.Max(served)) / float64(slices.Min(served))}
}
