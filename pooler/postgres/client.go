package postgres

import (
	"bytes"
	"sync/atomic"
	"unique"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	mostSaved = 16 << 10 // bytes that are taken from a client that waits
	keptSaved = 256      // bytes of room that a client keeps for its next wait
)

// goodbye is what a client sends that leaves in peace.
var goodbye = wire.AppendTerminate(nil)

// client is one client. Once it has logged in everything below entry belongs to its lane.
type client struct {
	engine  *Engine
	who     unique.Handle[identity]
	pid     uint32                // that its cancel key names
	secret  uint8                 // bytes of that key's secret; 0: it has none yet
	drained atomic.Bool           // it is let go when its transaction ends
	forget  func()                // lets go of what was looked up for it; nil: nothing was
	entry   atomic.Pointer[entry] // its login, or all of it at the console; nil: done

	id      uint64 // in the order of coming
	came    moment
	traffic *traffic // from the login on

	stream
	machine  session.Session
	saved    []byte  // has come and was not used yet
	conn     *conn   // lent; nil: none
	waiter   *waiter // for one; nil: does not wait
	deadline moment  // of the wait for the statement at hand; zero: it has not waited yet
	pinned   moment  // since when; zero: it is not
	vigil    *vigil  // nil: no round has come by
	watched  stopwatch

	replicates bool // it has a walsender
	moving     bool // its server connection is on its way to its lane
	revoked    bool // its statement was canceled while a server connection for it is on its way
	started    bool // has been given to its lane
	closing    bool // it was told to go
	parted     bool // it is gone: what its server still says is for nobody
	ended      bool // nothing more will come
	closed     bool // it is forgotten
}

// identity is what many clients have in common.
type identity struct {
	key      key
	user     string // that they logged in as
	database string // that they asked for
}

func (cl *client) key() key { return cl.who.Value().key }

// start takes a client that has logged in elsewhere to its lane.
func (cl *client) start(fd int, rest []byte) {
	cl.saved = rest
	if err := cl.socket.Open(cl.lane.Loop, fd, cl); err != nil {
		cl.engine.log.Warn("cannot watch a client", "error", err)
		cl.started = true
		cl.close()
		return
	}
	cl.begin()
}

// begin begins to serve a client that has logged in.
func (cl *client) begin() {
	cl.started = true
	cl.resume()
	cl.letGo()
}

// Ready is called by the loop.
func (cl *client) Ready(ready loop.Interest) {
	if ready&loop.Write != 0 {
		if !cl.flush() {
			cl.vanish()
			return
		}
		if !cl.full() {
			cl.taken()
		}
	}
	if ready&loop.Read != 0 && !cl.socket.Closed() {
		cl.receive()
	}
}

// taken goes on with what waited until the client had taken what it was sent.
func (cl *client) taken() {
	if cl.conn != nil {
		cl.conn.arm()
	}
	cl.resume()
}

// receive reads once.
func (cl *client) receive() {
	buf, have := cl.lane.in, 0
	switch held := cl.waits(); {
	case cl.closing:
	case held && len(cl.saved) >= mostSaved:
		cl.arm()
		return
	case held:
		buf = buf[:mostSaved-len(cl.saved)]
	default:
		have = copy(buf, cl.saved)
	}
	n, err := cl.read(buf[have:])
	switch {
	case gone(err) && cl.waits() && !cl.closing && bytes.HasSuffix(cl.saved, goodbye):
		cl.ended = true // it waits for what it has asked for
		cl.arm()
	case gone(err):
		cl.vanish()
	case n == 0 || cl.closing:
		cl.arm()
	case cl.waits():
		cl.saved = append(cl.saved, buf[:n]...)
		cl.arm()
	default:
		cl.take(buf[:have+n])
	}
}

// held says that what the client has sent has to wait.
func (cl *client) held() bool {
	return cl.waiter != nil || cl.moving || cl.full() || cl.conn != nil && cl.conn.full()
}

// waits is held, and that the machine waits for the server.
func (cl *client) waits() bool { return cl.held() || cl.machine.Waiting() }

// save keeps what has come for later.
func (cl *client) save(in []byte) {
	if len(in) == 0 && cap(cl.saved) > keptSaved {
		cl.saved = nil
		return
	}
	cl.saved = append(cl.saved[:0], in...)
}

// resume goes on with what was saved, if nothing is in its way.
func (cl *client) resume() {
	if cl.closing || cl.held() {
		cl.arm()
		return
	}
	cl.take(cl.lane.in[:copy(cl.lane.in, cl.saved)])
}

// arm watches for what the client can make use of. One that waits is read for as long as there is room, so that its going
// away is noticed.
func (cl *client) arm() {
	if cl.socket.Closed() {
		return
	}
	listens := (cl.waiter != nil || cl.moving || cl.machine.Waiting()) && !cl.full() && len(cl.saved) < mostSaved && !cl.ended
	cl.watch(cl.closing || !cl.waits() || listens)
}

// take passes on what has come.
func (cl *client) take(in []byte) {
	cl.lane.out = cl.lane.out[:0] // what was for somebody who went away goes nowhere
	for on := true; on; {
		st := cl.fromClient(in)
		cl.count()
		if !cl.carry(in, &st) {
			return
		}
		in = in[st.Used:]
		switch st.Do {
		case session.Read, session.Wait:
			on = false
		case session.Acquire:
			on = cl.acquire()
		case session.Answer:
			if on = cl.tell(cl.answer()); !on {
				cl.vanish()
				return
			}
		}
		on = on && !cl.held()
	}
	if out := cl.lane.out; len(out) > 0 { // it was to be more, but something is in the way
		cl.lane.out = out[:0]
		cl.forward(out)
	}
	cl.save(in)
	cl.arm()
	cl.letGo()
}

// carry does what a step of FromClient says. What goes to the server is gathered as long as more may come. It reports false if
// the client leaves.
func (cl *client) carry(in []byte, st *session.Step) bool {
	if st.Do == session.Break {
		cl.collapse()
		return false
	}
	out := &cl.lane.out
	more := st.Do == session.Continue && (st.Used < len(in) || len(st.Inject) > 0) && len(*out) < laneBuffer
	switch {
	case !more && len(*out) == 0 && len(st.Inject) == 0:
		cl.forward(in[:st.Forward])
	default:
		if *out = append(append(*out, in[:st.Forward]...), st.Inject...); !more {
			cl.forward(*out)
			*out = (*out)[:0]
		}
	}
	if st.Forward > 0 {
		cl.traffic.received.Add(uint64(st.Forward))
	}
	switch {
	case st.Do == session.Close && len(st.Reply) == 0:
		cl.leave(true)
		cl.close()
		return false
	case st.Do == session.Close:
		cl.hangUp(st.Reply)
		return false
	case len(st.Reply) > 0 && !cl.tell(st.Reply):
		cl.vanish()
		return false
	}
	return true
}

// forward sends to the server. If it is gone, reading from it will tell: its place is not free before it has ended the
// connection.
func (cl *client) forward(b []byte) {
	if len(b) == 0 {
		return
	}
	c := cl.conn
	if !c.write(b) {
		c.broken.Store(true)
		c.end()
	}
	if c.full() {
		c.arm()
		return // it is told that all was sent when it was
	}
	cl.finish(cl.decide((*session.Session).Sent))
}

// tell writes to the client. It reports false if the client is gone.
func (cl *client) tell(b []byte) bool {
	if len(b) == 0 || cl.parted {
		return true
	}
	if !cl.write(b) {
		return false
	}
	cl.traffic.sent.Add(uint64(len(b)))
	return true
}

// deliver takes what the server has sent. What goes to the client is gathered as long as more comes.
func (cl *client) deliver(in []byte) (used int, ok bool) {
	cl.machine.Delivering()
	out, lost := &cl.lane.out, false
	*out, ok = (*out)[:0], true
	for more := true; more; {
		st := cl.fromServer(in[used:])
		forward := in[used : used+st.Forward]
		used += st.Used
		ok = st.Do != session.Break
		more = ok && st.Do != session.Read && used < len(in)
		switch {
		case lost:
		case !more && len(*out) == 0 && len(st.Inject) == 0:
			lost = !cl.tell(forward)
		default:
			if *out = append(append(*out, forward...), st.Inject...); !more || len(*out) >= laneBuffer {
				lost = !cl.tell(*out)
				*out = (*out)[:0]
			}
		}
	}
	c, do := cl.conn, cl.decide((*session.Session).Delivered)
	farewell := cl.machine.Farewell()
	cl.count()
	cl.finish(do)
	if farewell != nil {
		cl.hangUp(farewell)
	}
	switch {
	case cl.closed: // it has said goodbye
	case lost:
		cl.vanish()
	case cl.full():
		cl.arm()
		c.arm()
	default:
		cl.letGo()
	}
	return used, ok
}

// count adds what the machine has counted to the sums.
func (cl *client) count() {
	cl.traffic.count(cl.machine.Counts())
	cl.watched.see(cl.traffic, cl.machine.Phase())
	switch reason := cl.machine.Pinned(); {
	case cl.closing: // it is not counted any more
	case reason != session.NotPinned && cl.pinned == 0:
		cl.pinned = now()
		cl.engine.counters.pins[reason].Add(1)
		cl.engine.counters.pinned.Add(1)
	case reason == session.NotPinned && cl.pinned != 0:
		cl.unpin()
	}
}

// unpin takes the client out of the count of those that are pinned.
func (cl *client) unpin() {
	cl.pinned = 0
	cl.engine.counters.pinned.Add(-1)
}
