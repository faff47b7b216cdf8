package session

import (
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// clientWords and serverWords are what may be said, in any order, and in parts.
var (
	clientWords = [][]byte{
		sql("SELECT 1"), sql("BEGIN"), sql("SET search_path TO a"), sql("DEALLOCATE n"), sql("DISCARD ALL"), sql("LISTEN a"),
		parse("", "SELECT 1"), parse("n", "SELECT 1"), parse("weir_1", "SELECT 1"), parse("n", "RESET ALL"),
		parse("l", strings.Repeat("x", 3*seenNames)), parse("", strings.Repeat("x", 2*keptUnnamed)),
		bindTo(""), bindTo("n"), bindTo("l"), message('D', 'S', 'n', 0), message('D', 'P', 0), executeAll,
		message('C', 'S', 'n', 0), message('C', 'S', 0), message('C', 'P', 0), message('F', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		syncAll, message('H'), message('d', 'x'), message('c'), message('f', 0), message('X'), message('P'), message('B', 'x'),
		sql("EXECUTE n"), sql("PREPARE n AS SELECT 1"), parse("e", "EXECUTE n"), bindTo("e"), sql("CREATE TABLE t ()"),
	}
	serverWords = [][]byte{
		ready('I'), ready('T'), ready('E'), ready('I'), parsed, bound, row, message('3'), message('T', 0, 0), message('n'), message('s'),
		tag("SELECT 1"), tag("SET"), tag("COMMIT"), tag("ROLLBACK"), tag("DEALLOCATE"), tag("DISCARD ALL"), message('I'),
		fail("42601"), fail(wire.CodeQueryCanceled), fail(wire.CodeReadOnlyTransaction), message('G', 0, 0, 0), message('H', 0, 0, 0),
		wire.AppendErrorResponse(nil, wire.Fatal(wire.CodeAdminShutdown, "bye")), message('N', 0), message('A', 0, 0, 0, 1, 'a', 0, 0),
		wire.AppendParameterStatus(nil, "TimeZone", "CET"), wire.AppendParameterStatus(nil, applicationName, "a"),
		wire.AppendParameterStatus(nil, "TimeZone", "UTC"), message('d', 'x'), message('c'),
		tag("PREPARE"), tag("CREATE TABLE"), message('t', 0, 0), fail(wire.CodeInternalError),
	}
)

// order is a Session of which everything that a driver may do is done in any order.
type order struct {
	t      *testing.T
	s      Session
	all    *Statements
	server *Server
	client []byte // said, not taken yet
	reply  []byte // the same of the server
	unsent bool
	left   bool // nothing is read from the client any more
}

// FuzzAnyOrder looks for what a client, a server and the moments at which they speak can do to the machine. In moves, the
// first byte of each pair says what is done, the second with what.
func FuzzAnyOrder(f *testing.F) {
	f.Add([]byte{0, 10, 5, 1, 2, 0, 1, 12, 1, 0, 0, 10})
	f.Add([]byte{0, 7, 0, 14, 0, 18, 0, 23, 1, 4, 1, 5, 1, 11, 1, 0, 2, 0, 6, 0})
	f.Fuzz(func(t *testing.T, moves []byte) {
		all := NewStatements(2)
		o := &order{t: t, all: all, s: New(Mode(len(moves)%4), all, []wire.Param{{Name: applicationName, Value: "a"}})}
		o.replace()
		for i := 0; i+1 < len(moves); i += 2 {
			o.move(moves[i], int(moves[i+1]))
			audit(t, all, o.server, &o.s)
		}
		o.leave(false)
		o.ended(o.s.Abandon())
		o.server.Close()
		audit(t, all, o.server, &o.s)
	})
}

func (o *order) move(what byte, with int) {
	switch what % 8 {
	case 0, 1:
		o.client = append(o.client, clientWords[with%len(clientWords)]...)
		o.fromClient(len(o.client))
	case 2, 3:
		o.reply = append(o.reply, serverWords[with%len(serverWords)]...)
		o.fromServer()
	case 4:
		o.sent()
	case 5:
		says := clientWords[with%len(clientWords)]
		part := 1 + with*len(says)/256
		o.client = append(o.client, says[:part]...)
		o.fromClient(len(o.client))
		o.client = append(o.client, says[part:]...)
	case 6:
		if inject, ok := o.s.Part(); ok {
			o.left, o.unsent = true, o.unsent || len(inject) > 0
		}
	case 7:
		o.leave(with%2 == 0)
	}
}

func (o *order) leave(polite bool) {
	o.left = true
	o.ended(o.s.Leave(polite))
}

func (o *order) fromClient(n int) {
	for range 1000 {
		o.sent()
		if o.left {
			return
		}
		st := o.s.FromClient(o.client[:n])
		o.holds(st, n)
		o.client, n = o.client[st.Used:], n-st.Used
		o.unsent = st.Forward > 0 || len(st.Inject) > 0
		switch st.Do {
		case Acquire:
			if len(o.client)%7 == 0 {
				o.s.Refuse(wire.Report{Severity: wire.SeverityError, Code: wire.CodeCannotConnect})
				continue
			}
			o.s.Attach(o.server)
		case Answer:
			o.s.Answer()
		case Close:
			o.leave(len(st.Reply) == 0)
			return
		case Wait:
			if !o.s.Busy() {
				o.t.Fatal("it waits for a server that owes nothing")
			}
			return
		case Read:
			return
		}
	}
	o.t.Fatalf("it does not come to rest with %.40q", o.client)
}

func (o *order) fromServer() {
	if !o.s.Attached() {
		if _, c := o.server.Quiet(o.reply); c == Broken {
			o.replace()
		}
		o.reply = nil
		return
	}
	o.s.Delivering()
	for range 1000 {
		st := o.s.FromServer(o.reply)
		o.holds(st, len(o.reply))
		o.reply = o.reply[st.Used:]
		if st.Do != Continue || len(o.reply) == 0 {
			o.ended(o.s.Delivered())
			return
		}
	}
	o.t.Fatalf("it does not come to rest with %.40q of the server", o.reply)
}

func (o *order) sent() {
	if o.unsent {
		o.unsent = false
		o.ended(o.s.Sent())
	}
}

// ended sees to a server connection that the session has given up.
func (o *order) ended(do Action) {
	switch do {
	case Reset:
		o.server.Cleanup()
		o.replace()
	case Discard:
		o.replace()
	}
	if do != Continue && o.s.Attached() {
		o.t.Fatalf("%v, and it is attached", do)
	}
}

// replace opens a connection of the server on which another application was last.
func (o *order) replace() {
	if o.server != nil {
		o.server.Close()
	}
	o.server, o.reply = NewServer(o.all, reported), nil
	o.server.have = o.server.have.with(applicationName, "b")
}

func (o *order) holds(st Step, n int) {
	if st.Forward > st.Used || st.Used > n || len(st.Inject) > 0 && !o.s.Attached() {
		o.t.Fatalf("step %+v for %d bytes", st, n)
	}
}
