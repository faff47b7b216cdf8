package main

import (
	"context"
	"errors"
	"testing"
	"time"
)

// eachPeer runs the test on every pool, with room for this many connections.
func eachPeer(t *testing.T, most int, test func(t *testing.T, s *server, p peer)) {
	for _, e := range entrants {
		t.Run(e.name, func(t *testing.T) {
			s := new(server)
			p := e.open(s, most)
			defer p.close()
			test(t, s, p)
		})
	}
}

func TestAReleasedConnectionIsLentAgainWithoutADial(t *testing.T) {
	eachPeer(t, 3, func(t *testing.T, s *server, p peer) {
		fill(p, 3)
		for _, l := range hold(p, 3) {
			p.release(l)
		}
		if n := s.dials.Load(); n != 3 {
			t.Errorf("%d dials for 3 connections used twice", n)
		}
	})
}

func TestADiscardedConnectionIsReplacedByADial(t *testing.T) {
	eachPeer(t, 1, func(t *testing.T, s *server, p peer) {
		ctx := context.Background()
		p.discard(must(ctx, p))
		p.release(must(ctx, p))
		if n := s.dials.Load(); n != 2 {
			t.Errorf("%d dials, want the first and its replacement", n)
		}
	})
}

func TestAPeerLendsNoMoreThanItsLimit(t *testing.T) {
	eachPeer(t, 2, func(t *testing.T, s *server, p peer) {
		held := hold(p, 2)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := p.acquire(ctx); err == nil {
			t.Error("a third connection was lent")
		}
		for _, l := range held {
			p.release(l)
		}
		if n := s.dials.Load(); n != 2 {
			t.Errorf("%d dials where 2 connections are the limit", n)
		}
	})
}

func TestTheServerCountsDialsThatRunAtOnce(t *testing.T) {
	s := new(server)
	s.watch(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	together(5, func(int) {
		if err := s.dial(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a dial that was called off returned %v", err)
		}
	})
	if dials, now := s.dials.Load(), s.dialing.Load(); dials != 5 || now != 0 {
		t.Errorf("%d dials, %d still on: want 5 and none", dials, now)
	}
}
