package loop

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	batch    = 256 // events of one wait
	rawWait  = 5   // milliseconds that the scheduler is not told of
	firstFDs = 64
)

// Loop is one event loop. Post and Close may be called from any goroutine, everything else on the loop only.
type Loop struct {
	rawWait     int
	epoll, bell int // the bell is an eventfd that interrupts the wait

	asleep atomic.Bool  // the bell must be rung
	many   atomic.Int32 // of posted
	mu     sync.Mutex
	posted []func()

	running []func()  // what was posted and is being run
	sockets []*Socket // by descriptor
	again   []*Socket // ready without epoll's saying so
	turn    []*Socket // those of again whose turn it is
	last    uint32    // generation
	events  [batch]syscall.EpollEvent
	now     time.Time // zero: not read since the wait
	ending  bool
	ended   chan struct{}
}

var (
	loops   atomic.Int32 // that run
	raising sync.Mutex
	working atomic.Int32 // see Work
)

// Work tells that a goroutine does, until it calls done, what somebody waits for and what needs a processor: loops do not
// hold on to theirs meanwhile.
func Work() (done func()) {
	beginWork()
	return endWork
}

// Rest tells that who has called Work waits for somebody else, until it calls resume.
func Rest() (resume func()) {
	endWork()
	return beginWork
}

func beginWork() { working.Add(1) }
func endWork()   { working.Add(-1) }

// New starts a loop.
func New() (*Loop, error) { return start(rawWait) }

func start(rawWait int) (*Loop, error) {
	l := &Loop{rawWait: rawWait, sockets: make([]*Socket, firstFDs), ended: make(chan struct{})}
	var err error
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if l.bell, err = eventfd(); err == nil {
		err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, l.bell, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(l.bell)})
	}
	if err != nil {
		syscall.Close(l.epoll)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	raiseProcessors(int(loops.Add(1)) + 1)
	go l.run()
	return l, nil
}

// raiseProcessors lets so many goroutines run at once, if it were fewer: a loop holds on to its processor.
func raiseProcessors(n int) {
	raising.Lock()
	defer raising.Unlock()
	if runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
}

// Post has the loop call f soon. It may be called from any goroutine; f is lost if the loop is closed.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	l.posted = append(l.posted, f)
	l.many.Add(1)
	l.mu.Unlock()
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		ring(l.bell)
	}
}

// Close ends the loop after what was posted before. Its sockets must be closed by then. It returns when the loop has ended.
func (l *Loop) Close() {
	l.Post(func() { l.ending = true })
	<-l.ended
}

// Ended is closed when the loop has ended.
func (l *Loop) Ended() <-chan struct{} { return l.ended }

// Now is the time, read once after each wait.
func (l *Loop) Now() time.Time {
	if l.now.IsZero() {
		l.now = time.Now()
	}
	return l.now
}

func (l *Loop) run() {
	for !l.ending {
		n := l.wait()
		l.now = time.Time{}
		for i := range l.events[:n] {
			l.dispatch(&l.events[i])
			l.runPosted()
		}
		l.runPosted()
		l.repeat()
	}
	syscall.Close(l.epoll)
	syscall.Close(l.bell)
	loops.Add(-1)
	close(l.ended)
}

// wait returns how many events there are.
func (l *Loop) wait() int {
	if len(l.again) > 0 || l.many.Load() > 0 {
		return l.look(0)
	}
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	if l.many.Load() > 0 { // posted before it could see that the bell must be rung
		return l.look(0)
	}
	if working.Load() == 0 {
		n, err := epollWait(l.epoll, l.events[:], l.rawWait)
		switch {
		case err == syscall.EINTR:
			runtime.Gosched() // the scheduler wants the processor
			return 0
		case n > 0 && err == 0:
			return n
		}
	}
	n, err := epollSleep(l.epoll, l.events[:])
	if err != 0 {
		return 0
	}
	return n
}

// look returns events without waiting.
func (l *Loop) look(milliseconds int) int {
	n, err := epollWait(l.epoll, l.events[:], milliseconds)
	if err != 0 {
		runtime.Gosched()
		return 0
	}
	return n
}

func (l *Loop) dispatch(event *syscall.EpollEvent) {
	if int(event.Fd) == l.bell {
		hush(l.bell)
		return
	}
	s := l.sockets[event.Fd]
	if s == nil || s.generation != uint32(event.Pad) {
		return // closed since
	}
	var ready Interest
	if event.Events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		ready |= Read & s.interest
	}
	if event.Events&(syscall.EPOLLOUT|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		ready |= Write & s.interest
	}
	switch {
	case ready != 0:
		s.handler.Ready(ready)
	case event.Events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0:
		s.drop()
	}
}

// runPosted runs what was posted, and what that posts.
func (l *Loop) runPosted() {
	for l.many.Load() > 0 {
		l.mu.Lock()
		l.running, l.posted = l.posted, l.running[:0]
		l.many.Store(0)
		l.mu.Unlock()
		for i, f := range l.running {
			l.running[i] = nil
			f()
		}
	}
}

// repeat gives a turn to sockets that are ready without epoll's saying so.
func (l *Loop) repeat() {
	if len(l.again) == 0 {
		return
	}
	l.again, l.turn = l.turn[:0], l.again
	for i, s := range l.turn {
		if s == nil {
			continue // it has moved
		}
		l.turn[i] = nil
		s.repeats = false
		if !s.closed && s.interest != 0 {
			s.handler.Ready(s.interest)
			l.runPosted()
		}
	}
}

// forget takes a socket out of those that are ready without epoll's saying so.
func (l *Loop) forget(s *Socket) {
	if !s.repeats {
		return
	}
	s.repeats = false
	for _, list := range [][]*Socket{l.again, l.turn} {
		for i := range list {
			if list[i] == s {
				list[i] = nil
			}
		}
	}
}
