package pgtest

import (
	"net"
	"testing"

	"github.com/weir-dev/weir/pooler/listen"
)

// Engine is what takes clients in front of a Server.
type Engine interface {
	Serve(net.Listener) error
	Close() error
}

// Front has an engine take clients on a loopback port until the test ends.
func Front(t testing.TB, engine Engine) *net.TCPAddr {
	t.Helper()
	ln, err := listen.TCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- engine.Serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := engine.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return ln.Addr().(*net.TCPAddr)
}
