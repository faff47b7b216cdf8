package loop_test

import (
	"bytes"
	"io"
	"net"
	"sync"
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
