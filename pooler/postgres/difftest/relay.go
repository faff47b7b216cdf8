package difftest

import (
	"net"
	"sync"
)

// Relay is a way to a server on which every byte goes alone, in both directions.
type Relay struct {
	ln     net.Listener
	server string
	open   sync.WaitGroup
}

// NewRelay returns a running Relay to a server's address.
func NewRelay(server string) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{ln: ln, server: server}
	r.open.Go(r.accept)
	return r, nil
}

// Port is where it listens, on the loopback address.
func (r *Relay) Port() int { return r.ln.Addr().(*net.TCPAddr).Port }

// Close takes no more connections, and returns when those that are open have ended.
func (r *Relay) Close() {
	r.ln.Close()
	r.open.Wait()
}

func (r *Relay) accept() {
	for {
		conn, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.open.Go(func() { r.pass(conn.(*net.TCPConn)) })
	}
}

func (r *Relay) pass(conn *net.TCPConn) {
	defer conn.Close()
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		return
	}
	defer server.Close()
	r.open.Go(func() { trickle(server.(*net.TCPConn), conn) })
	trickle(conn, server.(*net.TCPConn))
}

// trickle copies byte by byte, as segments without delay.
func trickle(to, from *net.TCPConn) {
	var buf [4096]byte
	for {
		n, err := from.Read(buf[:])
		for i := range n {
			if _, err := to.Write(buf[i : i+1]); err != nil {
				break
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}
