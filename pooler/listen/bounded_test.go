package listen

import (
	"net"
	"testing"
	"testing/synctest"
)

// pipes is a listener at which a connection arrives whenever one is accepted.
type pipes struct{ accepted int }

func (p *pipes) Accept() (net.Conn, error) {
	p.accepted++
	conn, _ := net.Pipe()
	return conn, nil
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return nil }

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arriving := &pipes{}
		listener := Bounded(arriving, 2)
		var open []net.Conn
		ended := false
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					ended = true
					return
				}
				open = append(open, conn)
			}
		}()
		expect := func(when string, accepted int) {
			t.Helper()
			synctest.Wait()
			if arriving.accepted != accepted {
				t.Errorf("%s: %d accepted, want %d", when, arriving.accepted, accepted)
			}
		}
		expect("at first", 2)
		open[0].Close()
		expect("after one closed", 3)
		open[0].Close()
		expect("after the same closed again", 3)
		listener.Close()
		synctest.Wait()
		if !ended {
			t.Error("an Accept that waits for room must end when the listener is closed")
		}
	})
}
