package postgres

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

// stream is one side's connection after its login: a socket on a lane, TLS perhaps, and what there was no room for.
type stream struct {
	socket loop.Socket
	lane   *lane
	tls    *tls.Conn // nil: plain text
	unsent []byte    // as it goes to the socket
	ending bool      // nothing more is written, and the other side is told so when all is sent
	failed bool      // what is written is lost
	more   bool      // TLS holds text that has not been read
}

// read reads once. It returns loop.ErrAgain if there is nothing, and io.EOF or another error at the end.
func (s *stream) read(b []byte) (n int, err error) {
	if s.tls == nil {
		return s.socket.Read(b)
	}
	s.more = false
	for n < len(b) {
		var m int
		m, err = s.tls.Read(b[n:])
		n += m
		if err != nil {
			break
		}
	}
	s.more = n == len(b)
	if len(s.lane.cipher) > 0 { // an answer of TLS's own
		s.sendCipher()
	}
	if n > 0 {
		return n, nil // an error comes again
	}
	return 0, err
}

// write writes b, or keeps what there is no room for. It reports false if the other side is gone.
func (s *stream) write(b []byte) bool {
	switch {
	case s.failed || s.ending:
		return false
	case s.tls == nil:
		return s.send(b)
	}
	if _, err := s.tls.Write(b); err != nil {
		s.fail()
		return false
	}
	return s.sendCipher()
}

func (s *stream) sendCipher() bool {
	b := s.lane.cipher
	s.lane.cipher = b[:0]
	return s.send(b)
}

func (s *stream) send(b []byte) bool {
	if len(s.unsent) > 0 {
		s.unsent = append(s.unsent, b...)
		return true
	}
	n, err := s.socket.Write(b)
	if err != nil && err != loop.ErrAgain { //nolint:errorlint // it is never wrapped
		s.fail()
		return false
	}
	if n < len(b) {
		s.unsent = append(s.unsent, b[n:]...)
	}
	return true
}

// full says that the other side does not take what it was sent.
func (s *stream) full() bool { return len(s.unsent) > 0 }

// flush writes what there was no room for. It reports false if the other side is gone.
func (s *stream) flush() bool {
	if len(s.unsent) == 0 {
		return !s.failed
	}
	n, err := s.socket.Write(s.unsent)
	if err != nil && err != loop.ErrAgain { //nolint:errorlint // it is never wrapped
		s.fail()
		return false
	}
	if s.unsent = s.unsent[n:]; len(s.unsent) == 0 {
		s.unsent = nil
		if s.ending {
			s.socket.CloseWrite()
		}
	}
	return true
}

func (s *stream) fail() { s.failed, s.unsent = true, nil }

// end tells the other side, behind what it is still to be sent, that nothing more will come.
func (s *stream) end() {
	if s.ending || s.failed {
		return
	}
	if s.tls != nil {
		_ = s.tls.CloseWrite()
		s.sendCipher()
	}
	s.ending = true
	if len(s.unsent) == 0 {
		s.socket.CloseWrite()
	}
}

// watch waits for room if something is unsent, and for something to read if that is wanted.
func (s *stream) watch(read bool) {
	var interest loop.Interest
	if len(s.unsent) > 0 {
		interest = loop.Write
	}
	if read {
		interest |= loop.Read
		if s.more {
			s.socket.Again()
		}
	}
	s.socket.Watch(interest)
}

// pipe is what TLS reads and writes: a net.Conn during the handshake, which may block, and a stream's socket afterwards.
type pipe struct {
	net.Conn         // during the handshake
	stream   *stream // after it
	empty    bool    // the last read took all there was
}

func (p *pipe) Read(b []byte) (int, error) {
	if p.stream == nil {
		return p.Conn.Read(b)
	}
	if p.empty {
		p.empty = false
		return 0, loop.ErrAgain
	}
	n, err := p.stream.socket.Read(b)
	p.empty = err == nil && n < len(b)
	return n, err
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.stream == nil {
		return p.Conn.Write(b)
	}
	p.stream.lane.cipher = append(p.stream.lane.cipher, b...)
	return len(b), nil
}

// SetWriteDeadline is called by TLS before it says goodbye, which does not block here.
func (p *pipe) SetWriteDeadline(t time.Time) error {
	if p.stream == nil {
		return p.Conn.SetWriteDeadline(t)
	}
	return nil
}

// plainOf returns the connection below TLS, if there is TLS, and below what looks into it.
func plainOf(conn net.Conn) net.Conn {
	for {
		switch c := conn.(type) {
		case *tls.Conn:
			conn = c.NetConn()
		case *pipe:
			conn = c.Conn
		case *prefixed:
			conn = c.Conn
		default:
			return conn
		}
	}
}

// take makes the stream that of a connection whose login is done, before it is opened on its lane. The connection is
// of no use any more.
func (s *stream) take(conn net.Conn) (fd int, err error) {
	plain := plainOf(conn)
	if secure, ok := conn.(*tls.Conn); ok {
		s.tls = secure
		if p, ok := secure.NetConn().(*pipe); ok {
			p.Conn, p.stream = nil, s
		}
		s.more = true // some may have come with the handshake
	}
	return loop.Take(plain)
}

// gone says that an error of read is the end.
func gone(err error) bool {
	return err != nil && err != loop.ErrAgain //nolint:errorlint // it is never wrapped
}
