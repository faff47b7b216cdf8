package loop_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

const patience = 20 * time.Second

func start(t testing.TB) *loop.Loop {
	t.Helper()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// on runs f on the loop and waits for it.
func on(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() {
		f()
		close(done)
	})
	<-done
}

// pair is a connection: one end for the test, the other's descriptor for a loop.
func pair(t testing.TB) (*net.TCPConn, int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	ours.SetDeadline(time.Now().Add(patience))
	theirs, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := loop.Take(theirs)
	if err != nil {
		t.Fatal(err)
	}
	return ours.(*net.TCPConn), fd
}

// echo sends back what comes.
type echo struct {
	loop.Socket
	buf     []byte
	unsent  []byte
	readies int
	before  func() // each turn; nil: nothing
	ended   chan struct{}
}

func (e *echo) Ready(ready loop.Interest) {
	e.readies++
	if e.before != nil {
		e.before()
	}
	if ready&loop.Write != 0 {
		n, _ := e.Write(e.unsent)
		if e.unsent = e.unsent[n:]; len(e.unsent) == 0 {
			e.Watch(loop.Read)
		}
		return
	}
	n, err := e.Read(e.buf)
	if err != nil && err != loop.ErrAgain {
		e.Close()
		close(e.ended)
		return
	}
	sent, err := e.Write(e.buf[:n])
	if err == loop.ErrAgain {
		e.unsent = append([]byte(nil), e.buf[sent:n]...)
		e.Watch(loop.Write)
	}
}

func echoOn(t testing.TB, l *loop.Loop) (*net.TCPConn, *echo) {
	t.Helper()
	ours, fd := pair(t)
	e := &echo{buf: make([]byte, 4096), ended: make(chan struct{})}
	on(l, func() {
		if err := e.Open(l, fd, e); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { on(l, e.Close) })
	return ours, e
}

// exchange sends a message and waits until it comes back.
func exchange(t testing.TB, c net.Conn, message []byte) {
	t.Helper()
	if _, err := c.Write(message); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(message))
	if _, err := io.ReadFull(c, back); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back, message) {
		t.Fatalf("%q comes back as %q", message, back)
	}
}

func TestWhatComesIsToldOnceForEachRead(t *testing.T) {
	l := start(t)
	c, e := echoOn(t, l)
	for range 100 {
		exchange(t, c, []byte("hello"))
	}
	on(l, func() {
		if e.readies > 101 {
			t.Errorf("for 100 messages it is called %d times", e.readies)
		}
	})
	c.Close()
	<-e.ended
}

func TestWhatThereIsNoRoomForIsSentLater(t *testing.T) {
	l := start(t)
	c, _ := echoOn(t, l)
	message := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go c.Write(message)
	back := make([]byte, len(message))
	if _, err := io.ReadFull(c, back); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back, message) {
		t.Error("what comes back is not what was sent")
	}
}

func TestWhatIsPostedRunsInOrderWhereverTheLoopIs(t *testing.T) {
	l := start(t)
	var order []int
	for i := range 1000 {
		l.Post(func() { order = append(order, i) })
		if i%100 == 0 {
			on(l, func() {}) // so that it has gone to sleep now and then
		}
	}
	on(l, func() {
		for i, n := range order {
			if i != n {
				t.Fatalf("number %d runs as number %d", n, i)
			}
		}
	})
}

func TestManyMayPostAndNothingIsLost(t *testing.T) {
	l := start(t)
	var ran int // on the loop only
	var posters sync.WaitGroup
	for range 8 {
		posters.Go(func() {
			for range 2000 {
				l.Post(func() { ran++ })
			}
		})
	}
	posters.Wait()
	on(l, func() {
		if ran != 16_000 {
			t.Errorf("%d of 16000 run", ran)
		}
	})
}

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

// A minute is longer than tests may take: if a loop's wait could not be interrupted, this would not end in time.
func TestTheWorldStopsWhileLoopsWaitWithoutTellingTheScheduler(t *testing.T) {
	for range 2 {
		l, err := loop.NewRaw(60_000)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		on(l, func() {}) // then it waits
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			runtime.GC()
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a garbage collection waits for a loop")
	}
}

// With one processor a goroutine gets it only when the loop gives it up.
func TestGoroutinesGetTheOnlyProcessorWhileALoopWaits(t *testing.T) {
	l, err := loop.NewRaw(60_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	old := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10 {
			on(l, func() {})
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a goroutine waits for the processor that a loop holds")
	}
}

// Here no signal asks a loop for its processor, so that only its own consideration can let go of it.
func TestLoopsLetGoOfTheProcessorWhileGoroutinesWork(t *testing.T) {
	const there = "WEIR_TEST_NO_SIGNALS"
	if os.Getenv(there) != "" {
		done := loop.Work()
		l, err := loop.NewRaw(60_000)
		if err != nil {
			t.Fatal(err)
		}
		runtime.GOMAXPROCS(1)
		for range 10 {
			on(l, func() {})
			runtime.Gosched() // to the loop, which waits
		}
		l.Close()
		done()
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), there+"=1", "GODEBUG=asyncpreemptoff=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("a goroutine waits for the processor that a loop holds: %v\n%s", err, out)
	}
}

func TestWhoRestsDoesNotWork(t *testing.T) {
	before := loop.Working()
	done := loop.Work()
	resume := loop.Rest()
	resting := loop.Working()
	resume()
	again := loop.Working()
	done()
	if resting != before || again != before+1 || loop.Working() != before {
		t.Errorf("%d, then %d and %d count as working, where %d did before", resting, again, loop.Working(), before)
	}
}

func TestALoopIsGivenAProcessorMoreThanThereAreLoops(t *testing.T) {
	old := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
	start(t)
	if n := runtime.GOMAXPROCS(0); n < 2 {
		t.Errorf("with one loop there are %d processors", n)
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
