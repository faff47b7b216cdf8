package loop_test

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

// closer closes another socket, whose descriptor is used again, while an event of it waits in the same batch.
type closer struct {
	loop.Socket
	do func()
}

func (c *closer) Ready(loop.Interest) {
	c.Read(make([]byte, 16))
	if c.do != nil {
		c.do()
		c.do = nil
	}
}

func TestAnEventOfAClosedSocketIsNotToldToWhoGetsItsDescriptor(t *testing.T) {
	l := start(t)
	for range 50 {
		firstEnd, first := pair(t)
		secondEnd, second := pair(t)
		_, spare := pair(t)
		var a, b, reborn closer
		var told int
		swap := func(other *closer, fd int) func() {
			return func() {
				other.Close()
				// the kernel gives the lowest free descriptor: make sure that it is the one
				if err := syscall.Dup3(spare, fd, syscall.O_CLOEXEC); err != nil {
					t.Error(err)
				}
				reborn.do = func() { told++ }
				if err := reborn.Open(l, fd, &reborn); err != nil {
					t.Error(err)
				}
			}
		}
		a.do, b.do = swap(&b, second), swap(&a, first)
		on(l, func() {
			if a.Open(l, first, &a) != nil || b.Open(l, second, &b) != nil {
				t.Error("a socket cannot be opened")
			}
			// both are ready when the loop looks next, in one batch; whoever is first closes the other
			firstEnd.Write([]byte("x"))
			secondEnd.Write([]byte("x"))
		})
		on(l, func() {})
		on(l, func() {
			if told > 0 {
				t.Error("the new socket is told what the old one was ready for")
			}
			a.Close()
			b.Close()
			reborn.Close()
			syscall.Close(spare)
		})
	}
}

func TestASocketThatIsNotWatchedAndFailsIsToldWhenItIsWatchedAgain(t *testing.T) {
	l := start(t)
	c, e := echoOn(t, l)
	exchange(t, c, []byte("hello"))
	on(l, func() { e.Watch(0) })
	c.SetLinger(0)
	c.Close() // reset: epoll tells it whatever is watched
	quiet := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { close(quiet) })
	<-quiet
	on(l, func() {
		if e.readies != 1 {
			t.Errorf("it is called %d times", e.readies)
		}
		e.Watch(loop.Read)
	})
	<-e.ended
}

func TestASocketThatWasReadyWhenItWasNotWatchedAnyMoreIsNotForgotten(t *testing.T) {
	l := start(t)
	for range 20 {
		a, one := echoOn(t, l)
		b, two := echoOn(t, l)
		on(l, func() {
			// Whoever is told first takes the other's interest away, although its event has been gathered.
			one.before, two.before = func() { two.Watch(0) }, func() { one.Watch(0) }
			a.Write([]byte("x"))
			b.Write([]byte("x"))
		})
		on(l, func() {})
		on(l, func() {
			one.before, two.before = nil, nil
			one.Watch(loop.Read)
			two.Watch(loop.Read)
		})
		for _, c := range []net.Conn{a, b} {
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			exchange(t, c, []byte("hello"))
		}
	}
}

func TestASocketMovesToAnotherLoopBetweenTwoMessages(t *testing.T) {
	a, b := start(t), start(t)
	c, e := echoOn(t, a)
	from, to := a, b
	for range 100 {
		moved := make(chan error, 1)
		on(from, func() { e.Move(to, func(err error) { moved <- err }) })
		c.Write([]byte("x")) // perhaps while it moves
		if err := <-moved; err != nil {
			t.Fatal(err)
		}
		back := make([]byte, 1)
		if _, err := io.ReadFull(c, back); err != nil {
			t.Fatal(err)
		}
		from, to = to, from
	}
}

// gate accepts connections.
type gate struct {
	loop.Socket
	fds   []int
	errs  []error
	ready chan struct{}
}

func (g *gate) Ready(loop.Interest) {
	for {
		fd, err := g.Accept()
		if err != nil {
			g.errs = append(g.errs, err)
			break
		}
		g.fds = append(g.fds, fd)
	}
	g.ready <- struct{}{}
}

func TestALoopAcceptsConnections(t *testing.T) {
	l := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := loop.Take(ln)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ready: make(chan struct{}, 10)}
	on(l, func() {
		if err := g.Open(l, fd, g); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { on(l, g.Close) })
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	<-g.ready
	e := &echo{buf: make([]byte, 4096), ended: make(chan struct{})}
	on(l, func() {
		if len(g.fds) != 1 || len(g.errs) != 1 || g.errs[0] != loop.ErrAgain {
			t.Errorf("%v are accepted, then the errors are %v", g.fds, g.errs)
		}
		if err := e.Open(l, g.fds[0], e); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { on(l, e.Close) })
	exchange(t, c, []byte("hello"))
}

func TestASocketThatIsReleasedGoesOnAsAConnectionAndComesBack(t *testing.T) {
	l := start(t)
	c, e := echoOn(t, l)
	for range 3 {
		exchange(t, c, []byte("on the loop"))
		var fd int
		on(l, func() { fd = e.Release() })
		conn, err := loop.Conn(fd)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("beside it"))
		if _, err := io.ReadFull(conn, make([]byte, len("beside it"))); err != nil {
			t.Fatal(err)
		}
		if fd, err = loop.Take(conn); err != nil {
			t.Fatal(err)
		}
		on(l, func() {
			if err := e.Open(l, fd, e); err != nil {
				t.Error(err)
			}
		})
	}
	exchange(t, c, []byte("hello"))
}

func TestWhoASocketIsGivenToIsToldWhatItIsReadyFor(t *testing.T) {
	l := start(t)
	ours, fd := pair(t)
	var turns []byte
	first := &taker{name: 'a', turns: &turns}
	second := &echo{buf: make([]byte, 4096), ended: make(chan struct{})}
	on(l, func() {
		if err := first.Open(l, fd, first); err != nil {
			t.Error(err)
		}
		first.Handle(handlerFunc(func(loop.Interest) {
			n, _ := first.Read(second.buf)
			first.Write(second.buf[:n])
		}))
	})
	t.Cleanup(func() { on(l, first.Close) })
	exchange(t, ours, []byte("hello"))
	on(l, func() {
		if len(turns) > 0 {
			t.Error("the first owner is told")
		}
	})
}

type handlerFunc func(loop.Interest)

func (f handlerFunc) Ready(ready loop.Interest) { f(ready) }
