package postgres

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// logTo is an engine that does nothing but log.
func logTo(log io.Writer) *Engine {
	return &Engine{log: slog.New(slog.NewTextHandler(log, nil))}
}

// onLane returns a client of such an engine.
func onLane(t *testing.T, machine session.Session) *client {
	e := logTo(io.Discard)
	if err := e.openLanes(1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.closeLanes)
	return &client{engine: e, stream: stream{lane: e.lanes[0]}, machine: machine, closing: true}
}

func TestTheLogSaysWhereAPanicWasAndNothingThatAClientHasSent(t *testing.T) {
	for name, c := range map[string]struct {
		cause func(sent []byte)
		says  string
	}{
		"the runtime's words":      {func(sent []byte) { _ = sent[len(sent)] }, "index out of range [6] with length 6"},
		"of other words, the type": {func(sent []byte) { panic("cannot read " + string(sent)) }, "panic=string"},
	} {
		var log bytes.Buffer
		e := logTo(&log)
		if e.contain(func() { c.cause([]byte("secret")) }) {
			t.Errorf("%s: it is said to have returned", name)
		}
		if got := log.String(); !strings.Contains(got, c.says) || !strings.Contains(got, "contain_test.go:") || strings.Contains(got, "secret") {
			t.Errorf("%s: the log says %s", name, got)
		}
		if n := e.counters.panics.Load(); n != 1 {
			t.Errorf("%s: %d panics are counted", name, n)
		}
	}
}

// The step that fails has passed nothing on, whatever it has read.
func TestAClientThatHasGotHalfAMessageIsRememberedToHave(t *testing.T) {
	const row = 100
	answer := wire.AppendCommandComplete(nil, "CREATE TABLE")
	answer = append(wire.AppendStart(answer, wire.TypeDataRow, row), make([]byte, row)...)
	end := wire.AppendReadyForQuery(nil, wire.StatusIdle) // at which a machine without a table of statements panics
	for name, c := range map[string]struct {
		cut  int
		torn bool
	}{
		"all of the row":  {0, false},
		"half of the row": {row / 2, true},
	} {
		cl := onLane(t, session.New(session.Transaction, nil, nil))
		cl.machine.Attach(session.NewServer(session.NewStatements(0), nil))
		cl.fromClient(wire.AppendQuery(nil, "CREATE TABLE t (); SELECT 1"))
		first := len(answer) - c.cut
		if st := cl.fromServer(answer[:first]); st.Forward != first {
			t.Fatalf("%s: the step is %+v", name, st)
		}
		if st := cl.fromServer(append(answer[first:len(answer):len(answer)], end...)); st.Do != session.Break || st.Forward != 0 {
			t.Errorf("%s: the step is %+v, want Break", name, st)
		}
		if !cl.machine.Failed() || cl.machine.Torn() != c.torn {
			t.Errorf("%s: failed %v, torn %v", name, cl.machine.Failed(), cl.machine.Torn())
		}
		if st := cl.fromClient(end); st.Do != session.Break {
			t.Errorf("%s: a machine that has failed is asked again: %+v", name, st)
		}
	}
}

func TestAServerConnectionWhoseMachinePanicsIsBroken(t *testing.T) {
	c := &conn{engine: logTo(io.Discard), machine: &session.Server{}}
	if _, condition := c.quiet(wire.AppendReadyForQuery(nil, wire.StatusIdle)); condition != session.Broken {
		t.Errorf("it is %v", condition)
	}
}

func TestAClientWhoseLoginPanicsIsToldAndLetGo(t *testing.T) {
	theirs, ours := tcpPair(t)
	defer ours.Close()
	en := &entry{client: &client{engine: logTo(io.Discard)}, net: ours, in: new(input), settings: &settings{}}
	if _, err := theirs.Write(wire.AppendSSLRequest(nil)); err != nil {
		t.Fatal(err)
	}
	in := make(chan bool)
	go func() { in <- en.talk(login.Read, nil) }()
	got := make([]byte, len(failedMessage))
	if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, failedMessage) {
		t.Errorf("it is told %q, %v", got, err)
	}
	theirs.Close()
	if <-in {
		t.Error("it is let in")
	}
}

func TestALoginToAServerThatPanicsHasFailed(t *testing.T) {
	theirs, ours := tcpPair(t)
	defer ours.Close()
	if _, err := theirs.Write(wire.AppendReadyForQuery(nil, wire.StatusIdle)); err != nil {
		t.Fatal(err)
	}
	l := &serverLogin{engine: logTo(io.Discard), conn: ours, plain: ours, machine: new(login.Server)}
	if err := l.talk(t.Context()); err != errFailed {
		t.Errorf("the error is %v", err)
	}
}

func TestContainmentDoesNotAllocate(t *testing.T) {
	cl := onLane(t, session.New(session.Transaction, session.NewStatements(0), nil))
	begun := wire.AppendQuery(nil, "SELECT 1")[:4]
	if n := testing.AllocsPerRun(100, func() {
		cl.fromClient(begun)
		cl.fromServer(nil)
		cl.answer()
		cl.decide((*session.Session).Sent)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
