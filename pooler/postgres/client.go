package postgres

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// linger is how long a client that was told to go may take to do so, and its last message to be taken.
const linger = time.Second

// client is one client. Its goroutine reads from it and writes to the server connection that it has lent; that connection's
// goroutine writes to it.
type client struct {
	engine *Engine
	net    net.Conn
	in     input
	key    key
	cancel login.CancelKey
	forget func() // lets go of what was looked up for it; nil: nothing was

	id      uint64 // in the order of coming
	came    time.Time
	asked   login.Startup    // from the login on
	traffic *traffic         // from the login on
	console *console.Session // the client is at the console; otherwise nil

	out sync.Mutex // the right to write to the client; taken before mu

	mu          sync.Mutex // guards what is below, never held across I/O
	machine     session.Session
	established bool                    // logged in
	conn        *conn                   // lent; nil: none
	wait        context.CancelCauseFunc // ends the wait for a server connection; nil: none
	waiting     time.Time               // since when it waits; zero: it does not
	closing     bool                    // it was told to go
	pinned      time.Time               // since when; zero: it is not
	watched     stopwatch
	vigil       vigil
	replicates  bool // it has a walsender

	batch    []byte        // what steps have told to send to the server, to go out at once
	progress chan struct{} // has a token when the machine, which waits, may get on
	drained  atomic.Bool   // it is let go when its transaction ends
	parted   atomic.Bool   // it is gone: what its server still says is for nobody
}

var errTerminated = errors.New("the client has said goodbye")

// run serves a client that has logged in until it leaves.
func (cl *client) run() {
	if cl.console != nil {
		cl.command()
		return
	}
	err := cl.talk()
	cl.leave(errors.Is(err, errTerminated))
	cl.in.drop()
}

func (cl *client) talk() error {
	for {
		want, err := cl.take()
		if err != nil {
			return err
		}
		cl.letGo()
		if err := cl.in.read(cl.net, want); err != nil {
			return err
		}
	}
}

// take passes on what has been read. It returns how many bytes it needs to go on.
func (cl *client) take() (want int, err error) {
	for {
		in := cl.in.bytes()
		cl.mu.Lock()
		if cl.closing {
			cl.mu.Unlock()
			cl.in.use(len(in))
			return 0, nil
		}
		st := cl.machine.FromClient(in)
		c := cl.conn
		want = cl.machine.Want()
		cl.count()
		cl.mu.Unlock()
		if err := cl.carry(c, in, st); err != nil {
			return 0, err
		}
		cl.in.use(st.Used)
		switch st.Do {
		case session.Read:
			return want, nil
		case session.Acquire:
			cl.acquire()
		case session.Answer:
			err = cl.answer()
		case session.Wait:
			err = cl.await()
		}
		if err != nil {
			return 0, err
		}
	}
}

// carry does what a step of FromClient says. What goes to the server is gathered as long as more may come.
func (cl *client) carry(c *conn, in []byte, st session.Step) error {
	more := st.Do == session.Continue && (st.Used < len(in) || len(st.Inject) > 0)
	switch {
	case st.Forward == 0 && len(st.Inject) == 0:
	case !more && len(cl.batch) == 0 && len(st.Inject) == 0:
		cl.send(c, in[:st.Forward])
	default:
		cl.gather(c, in[:st.Forward])
		cl.gather(c, st.Inject)
	}
	cl.traffic.received.Add(uint64(st.Forward))
	if !more && len(cl.batch) > 0 {
		cl.sendBatch(c)
	}
	switch {
	case st.Do == session.Close && len(st.Reply) == 0:
		return errTerminated
	case st.Do == session.Close:
		cl.hangUp(st.Reply, nil)
	case len(st.Reply) > 0:
		cl.out.Lock()
		defer cl.out.Unlock()
		return cl.write(st.Reply)
	}
	return nil
}

// gather adds to the batch, which is sent when it gets large.
func (cl *client) gather(c *conn, b []byte) {
	if len(cl.batch)+len(b) > largeInput {
		cl.sendBatch(c)
		if len(b) > largeInput {
			cl.send(c, b)
			return
		}
	}
	if cl.batch == nil {
		cl.batch = largeInputs.Get().(*[largeInput]byte)[:0]
	}
	cl.batch = append(cl.batch, b...)
}

// sendBatch sends what was gathered, and gives the memory up.
func (cl *client) sendBatch(c *conn) {
	if len(cl.batch) > 0 {
		cl.send(c, cl.batch)
	}
	if cl.batch != nil {
		largeInputs.Put((*[largeInput]byte)(cl.batch[:largeInput]))
		cl.batch = nil
	}
}

// send writes to the server. If it fails the connection's reader sees to the rest: it reads on until the server has ended the
// connection, whose place is not free before.
func (cl *client) send(c *conn, b []byte) {
	if _, err := c.net.Write(b); err != nil {
		c.broken.Store(true)
		closeWrite(c.net)
	}
	cl.mu.Lock()
	do := cl.machine.Sent()
	ended := cl.detached(do)
	cl.mu.Unlock()
	if ended != nil {
		ended.end(do)
	}
}

// answer gives the client the replies that were made up for it, in their place among the server's.
func (cl *client) answer() error {
	cl.out.Lock()
	defer cl.out.Unlock()
	cl.mu.Lock()
	made := cl.machine.Answer()
	cl.mu.Unlock()
	return cl.write(made)
}

// await waits until the server has answered what the machine waits for.
func (cl *client) await() error {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	defer cl.watch(end)()
	select {
	case <-cl.progress:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wake lets the client's goroutine look again at what its machine waits for; mu is locked.
func (cl *client) wake() {
	if cl.machine.Waiting() || cl.closing {
		select {
		case cl.progress <- struct{}{}:
		default:
		}
	}
}

// write writes to the client; out is locked.
func (cl *client) write(b []byte) error {
	if cl.parted.Load() {
		return nil
	}
	n, err := cl.net.Write(b)
	cl.traffic.sent.Add(uint64(n))
	return err
}

// deliver takes what c, which this client has lent, has sent. mine is false if it has not.
func (cl *client) deliver(c *conn, in []byte) (used int, ok, mine bool) {
	cl.out.Lock()
	cl.mu.Lock()
	if cl.conn != c {
		cl.mu.Unlock()
		cl.out.Unlock()
		return 0, false, false
	}
	cl.machine.Delivering()
	ok = true
	for more := true; more; {
		st := cl.machine.FromServer(in[used:])
		cl.mu.Unlock()
		forward := in[used : used+st.Forward]
		used += st.Used
		ok = st.Do != session.Break
		more = ok && st.Do != session.Read && used < len(in)
		cl.pass(c, forward, st.Inject, more)
		cl.mu.Lock()
	}
	do := cl.machine.Delivered()
	ended := cl.detached(do)
	farewell := cl.machine.Farewell()
	cl.count()
	cl.wake()
	cl.mu.Unlock()
	cl.out.Unlock()
	if ended != nil {
		ended.end(do)
	}
	if farewell != nil {
		cl.hangUp(farewell, nil)
	}
	cl.letGo()
	return used, ok, true
}

// pass writes to the client, unless more comes soon and there is room to keep it. If the client is gone, its goroutine finds
// out and sees to the rest.
func (cl *client) pass(c *conn, forward, inject []byte, more bool) {
	if len(inject) == 0 && len(c.batch) == 0 {
		if len(forward) > 0 && cl.write(forward) != nil {
			cl.net.Close()
		}
		return
	}
	c.batch = append(append(c.batch, forward...), inject...)
	if more && len(c.batch) < serverBuffer {
		return
	}
	if cl.write(c.batch) != nil {
		cl.net.Close()
	}
	if c.batch = c.batch[:0]; cap(c.batch) > serverBuffer {
		c.batch = nil
	}
}

// count adds what the machine has counted to the sums; mu is locked.
func (cl *client) count() {
	cl.traffic.count(cl.machine.Take())
	cl.watched.see(cl.traffic, cl.machine.Phase())
	switch reason := cl.machine.Pinned(); {
	case cl.closing: // it is not counted any more
	case reason != session.NotPinned && cl.pinned.IsZero():
		cl.pinned = time.Now()
		cl.engine.counters.pins[reason].Add(1)
		cl.engine.counters.pinned.Add(1)
	case reason == session.NotPinned && !cl.pinned.IsZero():
		cl.unpin()
	}
}

// unpin takes the client out of the count of those that are pinned; mu is locked.
func (cl *client) unpin() {
	cl.pinned = time.Time{}
	cl.engine.counters.pinned.Add(-1)
}

// detached takes the server connection away from the client if do ends its lease; mu is locked.
func (cl *client) detached(do session.Action) *conn {
	switch do {
	case session.Release, session.Reset, session.Discard:
		c := cl.conn
		cl.conn = nil
		c.client.CompareAndSwap(cl, nil)
		return c
	}
	return nil
}

// leave ends what the client has on the server.
func (cl *client) leave(polite bool) {
	cl.mu.Lock()
	cl.closing = true
	if !cl.pinned.IsZero() {
		cl.unpin()
	}
	if !polite && cl.part() {
		cl.mu.Unlock()
		return
	}
	busy := cl.machine.Busy()
	do := cl.machine.Leave(polite)
	c := cl.detached(do)
	cl.mu.Unlock()
	switch {
	case c == nil:
	case do == session.Discard && busy && !c.broken.Load():
		c.abort()
	default:
		c.end(do)
	}
}

// letGo tells the client to go, if it is to and nothing of it is under way.
func (cl *client) letGo() {
	if cl.drained.Load() {
		cl.hangUp(shutdownMessage, cl.idle)
	}
}

// idle says that nothing of the client is under way; mu is locked.
func (cl *client) idle() bool { return cl.established && cl.wait == nil && cl.machine.Idle() }

// serverLost tells the client that its server connection is gone. A client that has left while the server was to finish
// what it had asked for gives it up.
func (cl *client) serverLost() {
	cl.engine.counters.serversLost.Add(1)
	cl.mu.Lock()
	told := cl.machine.ServerDied()
	cl.mu.Unlock()
	if told {
		cl.hangUp(nil, nil)
	} else {
		cl.hangUp(serverLostMessage, nil)
	}
	cl.abandon()
}

// hangUp sends a last message and lets the client read it before the connection is closed. Nothing happens if the client is
// going already, or if only, which is called with mu locked, says no; nil says yes. In the middle of a message of the server
// nothing is sent: it would be taken for data. The client's goroutine ends soon after.
func (cl *client) hangUp(message []byte, only func() bool) {
	cl.mu.Lock()
	if cl.closing || only != nil && !only() {
		cl.mu.Unlock()
		return
	}
	cl.closing = true
	if cl.wait != nil {
		cl.wait(errClosing)
	}
	cl.wake()
	if cl.machine.Torn() {
		message = nil
	}
	cl.mu.Unlock()
	cl.leave(false)

	cl.net.SetWriteDeadline(time.Now().Add(linger)) // for who is writing now, too
	cl.out.Lock()
	if len(message) > 0 {
		_, _ = cl.net.Write(message) // who is gone need not be told
	}
	closeWrite(cl.net)
	cl.out.Unlock()
	cl.net.SetReadDeadline(time.Now().Add(linger))
}

// acquire answers the machine's Acquire: with a server connection, or with the reason why there is none.
func (cl *client) acquire() {
	deadline := time.Time{}
	for {
		lease, err := cl.engine.acquire(cl, &deadline)
		if err != nil {
			cl.mu.Lock()
			cl.machine.Refuse(cl.engine.refusal(cl.key, err))
			cl.mu.Unlock()
			return
		}
		if cl.attach(lease) {
			return
		}
		lease.Discard(nil)
	}
}

// attach reports false if the connection has died.
func (cl *client) attach(lease pool.Lease[*conn]) bool {
	c := lease.Conn()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.closing {
		lease.Release()
		return true
	}
	c.take(lease, cl)
	if c.broken.Load() && c.client.CompareAndSwap(cl, nil) {
		return false
	}
	cl.conn = c
	cl.traffic.assigned.Add(1)
	cl.machine.Attach(c.machine)
	return true
}
