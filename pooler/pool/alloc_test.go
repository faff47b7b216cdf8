//go:build !poolcheck

package pool_test

import (
	"context"
	"testing"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestAcquireOfAnIdleConnectionAllocatesNothing(t *testing.T) {
	p, ctx := newBench(t, 1), context.Background()
	l, err := p.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	if n := testing.AllocsPerRun(100, func() {
		l, _ := p.Acquire(ctx)
		l.Release()
	}); n != 0 {
		t.Errorf("%v allocations for Acquire and Release, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		l, _ := p.TryAcquire()
		l.Release()
	}); n != 0 {
		t.Errorf("%v allocations for TryAcquire and Release, want 0", n)
	}
	tag := uint64(7)
	if n := testing.AllocsPerRun(100, func() {
		l, _ := p.Acquire(ctx, pool.Prefer(tag))
		l.ReleaseAs(tag)
	}); n != 0 {
		t.Errorf("%v allocations for Acquire and ReleaseAs with an option, want 0", n)
	}
}
