package loop_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

// taker writes down, in order, whose turn it is, and reads a little each time.
type taker struct {
	loop.Socket
	name  byte
	turns *[]byte
	more  int // turns that it asks for by itself
}

func (k *taker) Ready(loop.Interest) {
	*k.turns = append(*k.turns, k.name)
	if k.Read(make([]byte, 1<<10)); k.more > 0 {
		k.more--
		k.Again()
	}
}

// takers are two sockets of a loop, whose turns are written down until the second, which is told little, has had its own.
func takers(t *testing.T, l *loop.Loop, told func(first, second *net.TCPConn, a *taker)) (before int) {
	t.Helper()
	var turns []byte
	ends, sockets := [2]*net.TCPConn{}, [2]*taker{}
	for i := range ends {
		end, fd := pair(t)
		k := &taker{name: "ab"[i], turns: &turns}
		on(l, func() {
			if err := k.Open(l, fd, k); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { on(l, k.Close) })
		ends[i], sockets[i] = end, k
	}
	on(l, func() { told(ends[0], ends[1], sockets[0]) }) // so that both are ready when the loop looks next
	for deadline := time.Now().Add(patience); ; {
		at := -1
		on(l, func() { at = bytes.IndexByte(turns, 'b') })
		if at >= 0 {
			return at
		}
		if time.Now().After(deadline) {
			t.Fatal("the second socket never has its turn")
		}
	}
}

func TestAHugeResultHasOneTurnBeforeTheOthersHaveTheirs(t *testing.T) {
	before := takers(t, start(t), func(huge, other *net.TCPConn, _ *taker) {
		huge.Write(make([]byte, 64<<10))
		other.Write([]byte("x"))
	})
	if before > 1 {
		t.Errorf("the huge result has %d turns before the other socket has one", before)
	}
}

func TestWhoAsksForAnotherTurnHasOneBeforeTheOthersHaveTheirs(t *testing.T) {
	before := takers(t, start(t), func(_, other *net.TCPConn, a *taker) {
		a.more = 1000
		a.Again()
		other.Write([]byte("x"))
	})
	if before > 1 {
		t.Errorf("who asks again has %d turns before the other socket has one", before)
	}
}
