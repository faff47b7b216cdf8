package main

import (
	"context"
	"sync/atomic"
	"time"
)

// server stands for the database: it takes its time to answer a dial and counts dials.
type server struct {
	delay   atomic.Int64 // of a dial, in nanoseconds
	dials   atomic.Int64 // begun since watch
	dialing atomic.Int64 // now
	peak    atomic.Int64 // of dialing since watch
}

// dial takes as long as the server says, or until ctx is done.
func (s *server) dial(ctx context.Context) error {
	s.dials.Add(1)
	now := s.dialing.Add(1)
	defer s.dialing.Add(-1)
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); {
		peak = s.peak.Load()
	}
	return wait(ctx, time.Duration(s.delay.Load()))
}

// watch begins to count anew and makes dials take so long.
func (s *server) watch(delay time.Duration) {
	s.delay.Store(int64(delay))
	s.dials.Store(0)
	s.peak.Store(s.dialing.Load())
}

// wait is time.Sleep that ends early with ctx.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
