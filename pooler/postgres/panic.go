package postgres

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// maxFrames is how many calls of a stack are logged.
const maxFrames = 32

var (
	errFailed = errors.New("internal error of the pooler, which its log tells of")

	// failedMessage is what a client is told whose machine has panicked, ready to send.
	failedMessage = fatalMessage(wire.CodeInternalError, "internal error of the pooler: this session was closed")
)

// contain calls f and reports whether it returned: if it panics, that is counted and logged. It is for calls of machines only,
// which hold no lock and belong to one connection: one that has panicked is given up, and its connections are closed.
func (e *Engine) contain(f func()) (returned bool) {
	defer func() {
		if v := recover(); v != nil {
			e.panicked(v)
		}
	}()
	f()
	return true
}

// panicked logs one panic a second, as a client may cause many. Nothing that a client has sent is in what it logs: of v only the
// runtime's own words, of the stack no values.
func (e *Engine) panicked(v any) {
	e.counters.panics.Add(1)
	now := time.Now().Unix()
	if e.panicLogged.Swap(now) == now {
		return
	}
	what := fmt.Sprintf("%T", v)
	if fault, ok := v.(runtime.Error); ok {
		what = fault.Error()
	}
	e.log.Error("internal error, please report it: a session was closed", "panic", what, "stack", stack())
}

// stack is where the panic at hand comes from, innermost first.
func stack() string {
	var calls [maxFrames]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(3, calls[:])])
	var lines []string
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		lines = append(lines, fmt.Sprintf("%s %s:%d", path.Base(f.Function), path.Base(f.File), f.Line))
	}
	return strings.Join(lines, "\n")
}

// fromClient is the machine's FromClient. Break says that the machine has failed.
func (cl *client) fromClient(in []byte) (st session.Step) {
	if cl.machine.Failed() || !cl.engine.contain(func() { st = cl.machine.FromClient(in) }) {
		cl.giveUp(cl.machine.Torn())
		return session.Step{Do: session.Break}
	}
	return st
}

// fromServer is the machine's FromServer.
func (cl *client) fromServer(in []byte) (st session.Step) {
	torn := cl.machine.Torn() // the step may have read on without passing it on
	if !cl.engine.contain(func() { st = cl.machine.FromServer(in) }) {
		cl.giveUp(torn)
		return session.Step{Do: session.Break}
	}
	return st
}

// answer is the machine's Answer.
func (cl *client) answer() (out []byte) {
	if !cl.engine.contain(func() { out = cl.machine.Answer() }) {
		cl.giveUp(cl.machine.Torn())
	}
	return out
}

// decide returns what is to become of the server connection, as a method of the machine says: Discard if it fails.
func (cl *client) decide(what func(*session.Session) session.Action) (do session.Action) {
	if !cl.engine.contain(func() { do = what(&cl.machine) }) {
		cl.giveUp(cl.machine.Torn())
		return session.Discard
	}
	return do
}

// giveUp gives up a machine that has failed. If nothing else does, what is posted ends the client.
func (cl *client) giveUp(torn bool) {
	if cl.machine.Failed() {
		return
	}
	cl.machine.Fail(torn)
	cl.lane.Post(cl.resume)
}

// collapse closes the connections of a client whose machine has failed.
func (cl *client) collapse() {
	if cl.conn != nil {
		cl.conn.lost()
		return
	}
	cl.hangUp(failedMessage)
}

// quiet is the machine's Quiet.
func (c *conn) quiet(in []byte) (used int, condition session.Condition) {
	if !c.engine.contain(func() { used, condition = c.machine.Quiet(in) }) {
		return len(in), session.Broken
	}
	return used, condition
}
