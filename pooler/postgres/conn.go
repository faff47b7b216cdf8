package postgres

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	talkTimeout = 10 * time.Second // for ROLLBACK and DISCARD ALL, and for settings of a login

	// goodbyeTimeout is how long the server may take to end a connection that it was told to end. While it runs a
	// statement it looks for the end of its client every 5 s, see guards.
	goodbyeTimeout = 10 * time.Second
)

// conn is a server connection. It is read for as long as it is open; what it sends goes to the client that has it lent, or
// is looked at here. So a connection that dies while idle is known before it is lent. It belongs to a lane; only who has it
// lent moves it to another.
type conn struct {
	engine    *Engine
	id        uint64 // in the order of opening
	opened    time.Time
	key       key
	at        Endpoint
	peer      Endpoint // where it leads
	encrypted bool
	serverTLS ServerTLS
	cancel    login.CancelKey
	params    []wire.Param

	lane     atomic.Pointer[lane]
	broken   atomic.Bool   // it is dead, or about to be closed
	retired  atomic.Bool   // it must not be lent again
	vanished atomic.Bool   // the server's machine does not answer
	stalled  atomic.Bool   // it is not read because its client does not read
	ended    chan struct{} // closed when there is nothing more to read

	net   net.Conn // of a lookup's connection, which is on no lane: who has it lent reads; otherwise nil
	asked bool     // it has served a lookup

	// What is below belongs to the lane.

	stream
	machine *session.Server
	saved   []byte // has come and was not used yet
	client  *client
	lease   pool.Lease[*conn]
	talk    *talk          // with nobody but the pooler; nil: none is under way
	cancels int            // cancel requests on their way: until they are there, it is not lent again
	then    session.Action // what ends the lease after them; Continue: nothing yet
	left    int            // bytes that its client had not taken at the last look, see relieve; 0: it was not stalled
}

// spent says that the connection must not be lent.
func (c *conn) spent() bool { return c.broken.Load() || c.retired.Load() }

var errBroken = errors.New("the server closed the connection")

// post has f called on the lane of the connection.
func (c *conn) post(f func()) {
	l := c.lane.Load()
	l.Post(func() {
		if c.lane.Load() != l {
			c.post(f) // it has moved
			return
		}
		f()
	})
}

// open gives a connection that has logged in to its lane.
func (c *conn) open(fd int) {
	c.stream.lane = c.lane.Load()
	if err := c.socket.Open(c.stream.lane.Loop, fd, c); err != nil {
		c.engine.log.Warn("cannot watch a server connection", "error", err)
		c.finish()
		return
	}
	c.arm()
}

// move gives the connection to another lane, where arrived is called.
func (c *conn) move(to *lane, arrived func()) {
	c.post(func() {
		if c.socket.Closed() {
			to.Post(arrived)
			return
		}
		from := c.stream.lane
		c.stream.lane = to
		c.socket.Move(to.Loop, func(err error) {
			c.lane.CompareAndSwap(from, to) // it may be here before the other lane goes on
			if err != nil {
				c.finish()
			}
			c.arm()
			arrived()
		})
		c.lane.CompareAndSwap(from, to) // from now on what is posted comes there, behind the arrival
	})
}

// close is the pool's hook: it returns, and frees the connection's place, when the server has ended the connection too.
// Otherwise the server could see one more than is allowed. A server that does not even read, and so is not told, has the
// connection reset and is given the time in which it must notice.
func (c *conn) close() {
	c.broken.Store(true)
	if c.net != nil {
		c.closeLookup()
		return
	}
	c.post(func() {
		c.write(wire.AppendTerminate(nil))
		c.endNow()
	})
	patience := time.NewTimer(goodbyeTimeout)
	defer patience.Stop()
	select {
	case <-c.ended:
		if c.vanished.Load() { // the server must notice, too
			<-time.After(VanishSeconds*time.Second - vanishAfter)
		}
	case <-patience.C:
		c.engine.log.Warn("the server does not end a connection that it was told to end: it is reset", "after", goodbyeTimeout)
		c.post(func() {
			c.socket.Reset()
			c.finish()
		})
		<-time.After(VanishSeconds*time.Second - goodbyeTimeout)
	}
}

// endNow tells the server that nothing more will come, even if it has not taken what was sent before.
func (c *conn) endNow() {
	if c.full() {
		c.fail()
		c.socket.CloseWrite()
	} else {
		c.stream.end()
	}
	c.arm()
}

// finish is called when there is nothing more to read.
func (c *conn) finish() {
	if !c.broken.Swap(true) || c.client != nil || c.talk != nil {
		c.lost()
	}
	c.socket.Close()
	c.tls = nil
	select {
	case <-c.ended:
	default:
		c.machine.Close()
		close(c.ended)
		c.engine.readers.Done()
		c.engine.conns.Delete(c)
	}
}

// Ready is called by the loop.
func (c *conn) Ready(ready loop.Interest) {
	if ready&loop.Write != 0 {
		c.flushed()
	}
	if ready&loop.Read != 0 && !c.socket.Closed() {
		c.receive()
	}
}

// flushed sends on what there was no room for.
func (c *conn) flushed() {
	if !c.flush() {
		c.broken.Store(true)
	}
	if c.full() {
		return
	}
	c.arm()
	if cl := c.client; cl != nil {
		cl.finish(cl.decide((*session.Session).Sent))
		cl.resume()
	}
}

// arm watches for what can be made use of: nothing is read that the client does not take.
func (c *conn) arm() {
	stalled := c.client != nil && c.client.full() && !c.client.parted
	c.stalled.Store(stalled)
	c.watch(!stalled)
}

// receive reads once and passes on what has come.
func (c *conn) receive() (n int) {
	buf := c.stream.lane.in
	have := copy(buf, c.saved)
	n, err := c.read(buf[have:])
	if gone(err) {
		c.finish()
		return 0
	}
	if n == 0 {
		return 0
	}
	in, cl := buf[:have+n], c.client
	used, ok := c.hand(in)
	if !ok {
		c.lost()
		used = len(in)
	}
	c.saved = append(c.saved[:0], in[used:]...)
	if cl != nil && cl.machine.Waiting() {
		cl.resume()
	}
	if c.more {
		c.arm()
	}
	return n
}

// hand hands bytes to who has the connection. ok is false if it cannot be read any further.
func (c *conn) hand(in []byte) (used int, ok bool) {
	switch {
	case c.client != nil:
		return c.client.deliver(in)
	case c.broken.Load() && c.talk == nil:
		return len(in), true // it is being closed: the rest of what it had to say
	}
	used, condition := c.quiet(in)
	switch condition {
	case session.Clean:
		c.endTalk(nil)
	case session.Refused:
		c.endTalk(&wire.ServerError{Report: c.machine.Refused()})
	}
	return used, condition != session.Broken && !c.turned()
}

// lost sees to it that a connection that cannot be read any further is closed.
func (c *conn) lost() {
	c.broken.Store(true)
	c.endTalk(errBroken)
	if cl := c.client; cl != nil {
		cl.serverLost()
		if c.client == cl { // it had left, and this was to finish what it asked for
			cl.decide((*session.Session).Abandon)
			cl.conn, c.client = nil, nil
			c.endLease(session.Discard)
		}
		return
	}
	c.engine.background(func() { c.engine.bury(c.key) })
}

// endLease ends the lease as the machine has said, but not while a cancel request is on its way.
func (c *conn) endLease(do session.Action) {
	if c.cancels > 0 && do != session.Discard {
		c.then = do
		c.arm()
		return
	}
	lease, outlook := c.lease, c.outlook()
	c.lease = pool.Lease[*conn]{}
	if c.stalled.Load() {
		c.arm()
	}
	switch {
	case c.spent() || do == session.Discard || outlook == otherRole:
		lease.Discard(nil)
	case outlook == doubtful:
		c.engine.background(func() { c.engine.tryInPlaceOf(lease, c.at) })
	case do == session.Reset:
		c.cleanUp(lease)
	default:
		c.giveBack(lease)
	}
}

// hold keeps the connection from being lent again until free.
func (c *conn) hold() { c.cancels++ }

func (c *conn) free() {
	c.cancels--
	do := c.then
	if c.cancels > 0 || do == session.Continue {
		return
	}
	c.then = session.Continue
	c.endLease(do)
}

// giveBack releases a connection that is whole, as far as is known.
func (c *conn) giveBack(lease pool.Lease[*conn]) {
	lease.ReleaseAs(c.stream.lane.mark(c.machine.Tag()))
	if c.spent() { // it was retired meanwhile, and was not found among the idle
		c.engine.background(func() { c.engine.bury(c.key) })
	}
}

// spare releases, from anywhere, a connection that its client needs no more or never did, and then calls done.
func (c *conn) spare(lease pool.Lease[*conn], done func()) {
	c.post(func() {
		c.giveBack(lease)
		done()
	})
}

// bury takes the dead out of a key's idle connections, so that their places are free.
func (e *Engine) bury(k key) {
	e.servers.DiscardIdle(k, (*conn).spent)
}
