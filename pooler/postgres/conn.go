package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	serverBuffer   = 16 << 10         // bytes that the reader of a server connection holds
	cleanupTimeout = 10 * time.Second // for ROLLBACK and DISCARD ALL, and for settings of a login

	// goodbyeTimeout is how long the server may take to end a connection that it was told to end. While it runs a
	// statement it looks for the end of its client every 5 s, see guards.
	goodbyeTimeout = 10 * time.Second
)

// conn is a server connection. One goroutine reads from it for as long as it is open; what it reads goes to the client that
// has the connection lent, or is looked at here. So a connection that dies while idle is known before it is lent.
type conn struct {
	engine    *Engine
	id        uint64 // in the order of opening
	opened    time.Time
	key       key
	net       net.Conn
	in        inlet // of net
	at        Endpoint
	tls       bool
	serverTLS ServerTLS
	cancel    login.CancelKey
	params    []wire.Param

	client   atomic.Pointer[client] // who has it lent; changes with the client's lock held, but for its death
	broken   atomic.Bool            // it is dead, or about to be closed
	retired  atomic.Bool            // it must not be lent again
	vanished atomic.Bool            // the server's machine does not answer
	asked    bool                   // it has served a lookup; of who has it lent
	ended    chan struct{}          // closed when there is nothing more to read
	batch    []byte                 // what goes to the client at once; the reader's
	machine  *session.Server        // guarded by the client's lock, or by mu if there is none

	mu      sync.Mutex
	lease   pool.Lease[*conn]
	cleaned chan error     // a cleanup waits for its end; nil: none
	cancels int            // cancel requests on their way: until they are there, it is not lent again
	then    session.Action // what ends the lease after them; Continue: nothing yet
}

// spent says that the connection must not be lent.
func (c *conn) spent() bool { return c.broken.Load() || c.retired.Load() }

var errBroken = errors.New("the server closed the connection")

// close is the pool's hook: it returns, and frees the connection's place, when the server has ended the connection too.
// Otherwise the server could see one more than is allowed. A server that does not even read, and so is not told, has the
// connection reset and is given the time in which it must notice.
func (c *conn) close() {
	c.broken.Store(true)
	_ = c.net.SetWriteDeadline(time.Now().Add(linger))
	_, _ = c.net.Write(wire.AppendTerminate(nil))
	closeWrite(c.net)
	if c.key.lookup {
		c.engine.readers.Add(1)
		go c.discardRest()
	}
	patience := time.NewTimer(goodbyeTimeout)
	defer patience.Stop()
	select {
	case <-c.ended:
		_ = c.net.Close()
		if c.vanished.Load() { // the server must notice, too
			<-time.After(VanishSeconds*time.Second - vanishAfter)
		}
	case <-patience.C:
		c.engine.log.Warn("the server does not end a connection that it was told to end: it is reset", "after", goodbyeTimeout)
		reset(c.net)
		<-time.After(VanishSeconds*time.Second - goodbyeTimeout)
	}
}

// reset ends a connection although the other side has not taken all that it was sent.
func reset(nc net.Conn) {
	nc = socketOf(nc)
	if abrupt, ok := nc.(interface{ SetLinger(int) error }); ok {
		_ = abrupt.SetLinger(0)
	}
	_ = nc.Close()
}

// peer is where the connection leads: of the addresses that a name has, that of its own server.
func (c *conn) peer() Endpoint {
	if tcp, ok := c.net.RemoteAddr().(*net.TCPAddr); ok {
		return Endpoint{Host: tcp.AddrPort().Addr().String(), Port: tcp.Port}
	}
	return c.at
}

// closeWrite tells the other side that nothing more will come.
func closeWrite(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		_ = secure.CloseWrite()
		nc = secure.NetConn()
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// read passes on what the server sends, until the connection ends.
func (c *conn) read() {
	defer c.engine.readers.Done()
	defer c.engine.conns.Delete(c)
	defer close(c.ended)
	buf := make([]byte, serverBuffer)
	have := 0
	for {
		n, err := c.in.read(buf[have:])
		have += n
		if n > 0 {
			c.in.hands.Add(1)
			used, ok := c.hand(buf[:have])
			c.in.hands.Add(1)
			if !ok {
				c.lost()
				_, _ = io.Copy(io.Discard, c.net) // until close has seen to it
				return
			}
			have = copy(buf, buf[used:have])
		}
		if err != nil {
			c.lost()
			return
		}
	}
}

// hand hands bytes to who has the connection. ok is false if it cannot be read any further.
func (c *conn) hand(in []byte) (used int, ok bool) {
	for {
		mine := false
		if cl := c.client.Load(); cl == nil {
			used, ok, mine = c.quiet(in)
		} else {
			used, ok, mine = cl.deliver(c, in)
		}
		if mine {
			return used, ok
		}
		runtime.Gosched() // it changes hands
	}
}

// quiet takes bytes while nobody has the connection; mine is false if somebody has.
func (c *conn) quiet(in []byte) (used int, ok, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client.Load() != nil {
		return 0, false, false
	}
	if c.broken.Load() {
		return len(in), true, true // it is being closed: the rest of what it had to say
	}
	used, condition := c.machine.Quiet(in)
	switch condition {
	case session.Clean:
		c.endCleanup(nil)
	case session.Refused:
		c.endCleanup(&wire.ServerError{Report: c.machine.Refused()})
	}
	return used, condition != session.Broken && !c.turned(), true
}

// take gives the connection to the client that has acquired it.
func (c *conn) take(lease pool.Lease[*conn], cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lease = lease
	c.client.Store(cl)
}

// endCleanup tells who waits for the cleanup. The lock is held.
func (c *conn) endCleanup(err error) {
	if c.cleaned != nil {
		c.cleaned <- err
		c.cleaned = nil
	}
}

// lost sees to it that a connection that cannot be read any further is closed.
func (c *conn) lost() {
	c.broken.Store(true)
	_ = c.net.SetWriteDeadline(time.Unix(1, 0)) // for who is writing now
	c.mu.Lock()
	c.endCleanup(errBroken)
	c.mu.Unlock()
	if cl := c.client.Swap(nil); cl != nil {
		cl.serverLost()
		cl.mu.Lock()
		defer cl.mu.Unlock()
		c.machine.Close()
		return
	}
	c.mu.Lock()
	c.machine.Close()
	c.mu.Unlock()
	c.engine.background(func() { c.engine.bury(c.key) })
}

// end ends the lease as the machine has said, but not while a cancel request is on its way.
func (c *conn) end(do session.Action) {
	c.mu.Lock()
	if c.cancels > 0 && do != session.Discard {
		c.then = do
		c.mu.Unlock()
		return
	}
	outlook := c.outlook()
	lease := c.lease
	c.lease = pool.Lease[*conn]{}
	c.mu.Unlock()
	switch {
	case c.spent() || do == session.Discard || outlook == otherRole:
		lease.Discard(nil)
	case outlook == doubtful:
		c.engine.background(func() { c.engine.tryInPlaceOf(lease, c.at) })
	case do == session.Reset:
		c.engine.background(func() { c.cleanUp(lease) })
	default:
		c.giveBack(lease)
	}
}

// hold keeps the connection from being lent again until free.
func (c *conn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancels++
}

func (c *conn) free() {
	c.mu.Lock()
	c.cancels--
	do := c.then
	if c.cancels > 0 || do == session.Continue {
		c.mu.Unlock()
		return
	}
	c.then = session.Continue
	c.mu.Unlock()
	c.end(do)
}

// cleanUp makes the connection fit for the next client.
func (c *conn) cleanUp(lease pool.Lease[*conn]) {
	err := c.talk(c.machine.Cleanup)
	if err != nil || c.spent() {
		lease.Discard(err)
		return
	}
	c.giveBack(lease)
}

// talk sends what script returns, while no client has the connection, and returns when the server has answered. A
// *wire.ServerError leaves the connection as it was.
func (c *conn) talk(script func() []byte) error {
	done := make(chan error, 1)
	c.mu.Lock()
	c.cleaned = done
	out := script()
	c.mu.Unlock()
	if _, err := c.net.Write(out); err != nil {
		return err
	}
	if c.broken.Load() {
		return errBroken
	}
	late := time.NewTimer(cleanupTimeout)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return context.DeadlineExceeded
	}
}

// tag tells the connection apart from those with other settings.
func (c *conn) tag() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.Tag()
}

// look calls f with what is known about the connection, unless it is changing hands.
func (c *conn) look(f func(*session.Server)) {
	if cl := c.client.Load(); cl != nil {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		if cl.conn == c {
			f(c.machine)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client.Load() == nil {
		f(c.machine)
	}
}

// giveBack releases a connection that is whole, as far as is known.
func (c *conn) giveBack(lease pool.Lease[*conn]) {
	lease.ReleaseAs(c.tag())
	if c.spent() { // it died meanwhile, and was not found among the idle
		c.engine.background(func() { c.engine.bury(c.key) })
	}
}

// bury takes the dead out of a key's idle connections, so that their places are free.
func (e *Engine) bury(k key) {
	e.servers.DiscardIdle(k, (*conn).spent)
}

// background runs f in a goroutine that Close waits for.
func (e *Engine) background(f func()) {
	e.running.Add(1)
	go func() {
		defer e.running.Done()
		f()
	}()
}
