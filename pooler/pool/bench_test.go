package pool_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/weir-dev/weir/pooler/pool"
)

func newBench(tb testing.TB, most int) *pool.Pool[*conn] {
	cfg := pool.DefaultConfig()
	cfg.Max = most
	p, err := pool.New(cfg, pool.Hooks[*conn]{
		Dial:  func(context.Context) (*conn, error) { return new(conn), nil },
		Check: func(context.Context, *conn) error { return nil },
		Close: func(*conn) {},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func BenchmarkAlone(b *testing.B) {
	p, ctx := newBench(b, 8), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}

func BenchmarkSetAlone(b *testing.B) {
	type key struct{ database, user string }
	set := pool.NewSet(8, func(key) (pool.Config, pool.Hooks[*conn], error) {
		return pool.DefaultConfig(), pool.Hooks[*conn]{
			Dial:  func(context.Context) (*conn, error) { return new(conn), nil },
			Close: func(*conn) {},
		}, nil
	})
	defer set.Close(context.Background())
	k, ctx := key{"orders", "ann"}, context.Background()
	b.ReportAllocs()
	for b.Loop() {
		l, err := set.Acquire(ctx, k)
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}

// Benchmark64On8 is 64 goroutines that compete for 8 connections.
func Benchmark64On8(b *testing.B) {
	p := newBench(b, 8)
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for pb.Next() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			l.Release()
		}
	})
}
