package loop

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// Interest is what a socket is watched, or ready, for.
type Interest uint8

// Interests.
const (
	Read Interest = 1 << iota
	Write
)

// ErrAgain says that there is nothing to read, or no room to write, now.
var ErrAgain error = again{}

// again is temporary in the eyes of crypto/tls, which goes on after such an error.
type again struct{}

func (again) Error() string   { return "the socket is not ready" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// Handler owns a Socket.
type Handler interface {
	// Ready is called on the loop when the socket can be read or written, or has failed, as far as that is watched.
	Ready(Interest)
}

// Socket is a connected or listening socket that belongs to a loop. Its methods are called on that loop only. The zero Socket is closed.
type Socket struct {
	loop       *Loop
	handler    Handler
	fd         int32
	generation uint32
	interest   Interest
	open       bool
	closed     bool
	dropped    bool // not in epoll any more
	repeats    bool // in loop.again
}

// Take takes the descriptor out of a net.Conn or net.Listener, which is closed. It is the caller's then.
func Take(from io.Closer) (fd int, err error) {
	defer from.Close()
	owner, ok := from.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("a %T has no descriptor", from)
	}
	raw, err := owner.SyscallConn()
	if err != nil {
		return 0, err
	}
	const duplicate = 1030 // F_DUPFD_CLOEXEC
	var errno syscall.Errno
	err = raw.Control(func(old uintptr) {
		var r uintptr
		r, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, duplicate, 0)
		fd = int(r)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return fd, err
}

// Conn makes a net.Conn of a descriptor, which is closed if that fails.
func Conn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	return net.FileConn(file)
}

// Open gives a descriptor that does not block to the loop, watched for reading.
func (s *Socket) Open(l *Loop, fd int, h Handler) error {
	s.fd, s.handler, s.open = int32(fd), h, true
	return s.enter(l, Read)
}

func (s *Socket) enter(l *Loop, interest Interest) error {
	for int(s.fd) >= len(l.sockets) {
		l.sockets = append(l.sockets, make([]*Socket, len(l.sockets))...)
	}
	l.last++
	s.loop, s.generation, s.interest = l, l.last, interest
	l.sockets[s.fd] = s
	if s.dropped {
		return nil
	}
	return s.control(syscall.EPOLL_CTL_ADD)
}

func (s *Socket) control(operation int) error {
	event := syscall.EpollEvent{Fd: s.fd, Pad: int32(s.generation)}
	if s.interest&Read != 0 {
		event.Events |= syscall.EPOLLIN
	}
	if s.interest&Write != 0 {
		event.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(s.loop.epoll, operation, int(s.fd), &event)
}

// Watch changes what the socket is watched for.
func (s *Socket) Watch(interest Interest) {
	if s.closed || !s.open || s.interest == interest {
		return
	}
	s.interest = interest
	operation := syscall.EPOLL_CTL_MOD
	if s.dropped {
		operation, s.dropped = syscall.EPOLL_CTL_ADD, false
	}
	_ = s.control(operation) // fails only for lack of memory, and then little works
}

// drop takes a socket out of epoll that has failed while nobody wants to know, until somebody does.
func (s *Socket) drop() {
	_ = s.control(syscall.EPOLL_CTL_DEL)
	s.dropped = true
}

// Handle makes h the socket's owner, which is told from now on what it is ready for.
func (s *Socket) Handle(h Handler) { s.handler = h }

// Again has the loop call Ready once more, after the others had their turn, for what is watched.
func (s *Socket) Again() {
	if !s.repeats && !s.closed {
		s.repeats = true
		s.loop.again = append(s.loop.again, s)
	}
}

// Move gives the socket to another loop, which then calls moved. Its owner does nothing with it meanwhile.
func (s *Socket) Move(to *Loop, moved func(error)) {
	interest, repeats := s.interest, s.repeats
	s.leave()
	s.loop = nil
	to.Post(func() {
		err := s.enter(to, interest)
		if repeats {
			s.Again()
		}
		moved(err)
	})
}

// Release takes the socket out of the loop. The descriptor is the caller's then, and the Socket is as it was before Open.
func (s *Socket) Release() (fd int) {
	s.leave()
	fd = int(s.fd)
	*s = Socket{}
	return fd
}

// leave takes the socket out of the loop's lists.
func (s *Socket) leave() {
	if !s.dropped {
		_ = s.control(syscall.EPOLL_CTL_DEL)
	}
	s.loop.sockets[s.fd] = nil
	s.loop.forget(s)
}

// Accept accepts a connection, as a descriptor that does not block. It returns ErrAgain if there is none.
func (s *Socket) Accept() (fd int, err error) {
	if s.Closed() {
		return 0, net.ErrClosed
	}
	fd, errno := accept(s.fd)
	switch errno {
	case 0:
		return fd, nil
	case syscall.EAGAIN, syscall.EINTR, syscall.ECONNABORTED:
		return 0, ErrAgain
	}
	return 0, errno
}

// Read reads what is there. It returns io.EOF at the end, and ErrAgain if there is nothing.
func (s *Socket) Read(b []byte) (int, error) {
	if s.closed || !s.open {
		return 0, net.ErrClosed
	}
	n, errno := receive(s.fd, b)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, ErrAgain
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes as much as there is room for, and returns ErrAgain if that is not all.
func (s *Socket) Write(b []byte) (int, error) {
	if s.closed || !s.open {
		return 0, net.ErrClosed
	}
	n, errno := send(s.fd, b)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, ErrAgain
	case errno != 0:
		return 0, errno
	case n < len(b):
		return n, ErrAgain
	}
	return n, nil
}

// CloseWrite tells the other side that nothing more will come.
func (s *Socket) CloseWrite() {
	if !s.closed && s.open {
		_ = syscall.Shutdown(int(s.fd), syscall.SHUT_WR) // who has gone cannot be told
	}
}

// Close closes the socket. Events of it that were gathered before are not told.
func (s *Socket) Close() {
	if s.closed || !s.open {
		return
	}
	s.closed = true
	s.loop.sockets[s.fd] = nil
	shut(s.fd)
}

// Reset closes the socket, and what the other side has not taken is lost.
func (s *Socket) Reset() {
	if !s.closed && s.open {
		_ = syscall.SetsockoptLinger(int(s.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
	s.Close()
}

// Closed says that the socket is closed, or was never open.
func (s *Socket) Closed() bool { return s.closed || !s.open }

// Addresses are those of the other side and of this one; nil if the socket is closed.
func (s *Socket) Addresses() (remote, local net.Addr) {
	if s.Closed() {
		return nil, nil
	}
	return address(syscall.Getpeername(int(s.fd))), address(syscall.Getsockname(int(s.fd)))
}

func address(a syscall.Sockaddr, err error) net.Addr {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Net: "unix", Name: a.Name}
	}
	_ = err // there is no address then
	return nil
}

// Control calls f with the descriptor, unless the socket is closed.
func (s *Socket) Control(f func(fd int)) {
	if !s.Closed() {
		f(int(s.fd))
	}
}
