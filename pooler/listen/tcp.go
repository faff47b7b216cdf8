package listen

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/weir-dev/weir/pooler/loop"
)

// What package net sets for each connection that it accepts, in seconds and probes. Connections inherit it from the
// listener, so that it costs nothing for each.
const (
	keepAliveIdle     = 15
	keepAliveInterval = 15
	keepAliveCount    = 9
)

// silence is how many seconds a connection on which nothing has come is kept from who accepts.
const silence = 1

// Listener is a TCP listener that an event loop can take over. Until then it is a net.Listener like others.
type Listener struct {
	net.Listener

	mu     sync.Mutex
	taken  bool
	closed bool
	fd     int // of the socket, if it was taken; the loop has another
}

// TCP listens on an address of the form host:port.
func TCP(address string) (*Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlled := raw.Control(func(fd uintptr) { err = prepare(int(fd)) })
		if err == nil {
			err = controlled
		}
		return err
	}}
	config.SetMultipathTCP(false) // its sockets do not have all of TCP's options
	ln, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Listener{Listener: ln}, nil
}

// prepare sets what the connections are to inherit.
func prepare(fd int) error {
	for _, option := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveInterval},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.name, option.value); err != nil {
			return err
		}
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, silence) // where there is none, a read finds nothing
	return nil
}

// Take returns a descriptor of the socket, which is the caller's. From then on Accept fails. When the Listener is closed,
// accepting from the descriptor fails with EINVAL.
func (l *Listener) Take() (fd int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.taken {
		return 0, net.ErrClosed
	}
	if l.fd, err = loop.Take(l.Listener); err != nil {
		l.closed = true
		return 0, err
	}
	l.taken = true
	return unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 0)
}

// Close ends listening. Connections that were accepted stay.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	if !l.taken {
		return l.Listener.Close()
	}
	return errors.Join(unix.Shutdown(l.fd, unix.SHUT_RDWR), unix.Close(l.fd))
}
