package listen_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-dev/weir/pooler/listen"
)

const patience = 10 * time.Second

func start(t *testing.T) *listen.Listener {
	t.Helper()
	ln, err := listen.TCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// take takes the listener's socket over.
func take(t *testing.T, ln *listen.Listener) (fd int) {
	t.Helper()
	fd, err := ln.Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func dial(t *testing.T, ln net.Listener, says string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte(says)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// accept waits until a connection has come to a socket that was taken.
func accept(t *testing.T, fd int) int {
	t.Helper()
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, int(patience.Milliseconds())); n != 1 {
		t.Fatalf("no connection comes: %v", err)
	}
	conn, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(conn) })
	return conn
}

var options = map[string]struct{ level, name int }{
	"SO_KEEPALIVE":  {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	"TCP_KEEPIDLE":  {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
	"TCP_KEEPINTVL": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
	"TCP_KEEPCNT":   {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
	"TCP_NODELAY":   {unix.IPPROTO_TCP, unix.TCP_NODELAY},
}

func TestConnectionsInheritWhatPackageNetSets(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	dial(t, plain, "hello")
	of, err := plain.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer of.Close()
	raw, err := of.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ln := start(t)
	fd := take(t, ln)
	dial(t, ln, "hello")
	inherited := accept(t, fd)
	for name, o := range options {
		var want int
		var failed error
		if err := raw.Control(func(fd uintptr) { want, failed = unix.GetsockoptInt(int(fd), o.level, o.name) }); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if got, err := unix.GetsockoptInt(inherited, o.level, o.name); err != nil || got != want {
			t.Errorf("%s is %d, want %d: %v", name, got, want, err)
		}
	}
}

func TestAConnectionOnWhichSomethingHasComeCanBeReadAtOnce(t *testing.T) {
	ln := start(t)
	fd := take(t, ln)
	dial(t, ln, "hello")
	buf := make([]byte, 16)
	if n, err := unix.Read(accept(t, fd), buf); string(buf[:max(n, 0)]) != "hello" {
		t.Errorf("%q can be read: %v", buf[:max(n, 0)], err)
	}
}

func TestASilentConnectionIsToldOf(t *testing.T) {
	ln := start(t)
	fd := take(t, ln)
	dial(t, ln, "")
	accept(t, fd)
}

func TestAConnectionThatIsClosedInSilenceIsToldOf(t *testing.T) { // as a probe does
	ln := start(t)
	fd := take(t, ln)
	dial(t, ln, "").Close()
	if n, err := unix.Read(accept(t, fd), make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("reading returns %d, %v; want its end", n, err)
	}
}

func TestAListenerThatWasNotTakenAcceptsLikeOthers(t *testing.T) {
	ln := start(t)
	dial(t, ln, "hello")
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestAClosedListenerTellsWhoHasTakenItAndFreesItsPort(t *testing.T) {
	ln := start(t)
	fd := take(t, ln)
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := unix.Accept4(fd, 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("accepting fails with %v", err)
	}
	if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		conn.Close()
		t.Error("connections are still let in")
	}
	again, err := listen.TCP(ln.Addr().String()) // while fd is still open
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestAListenerIsTakenOnceAndNotOnceItIsClosed(t *testing.T) {
	taken, closed := start(t), start(t)
	take(t, taken)
	closed.Close()
	for name, ln := range map[string]*listen.Listener{"taken": taken, "closed": closed} {
		if _, err := ln.Take(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: accepting fails with %v", name, err)
		}
	}
}
