package session

import (
	"bytes"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// tester is a test, or a check of rapid's.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// line drives a Session as a driver would, and writes down what happens.
type line struct {
	t      tester
	s      Session
	server *Server
	client []byte // not used yet
	reply  []byte // not used yet
	toSrv  bytes.Buffer
	toCli  bytes.Buffer
	did    []Action // but Continue and Read
	given  int      // bytes of toSrv that a model has taken
}

var reported = []wire.Param{{Name: "DateStyle", Value: "ISO, MDY"}, {Name: "application_name", Value: ""}, {Name: "TimeZone", Value: "UTC"}}

func newLine(t tester, mode Mode) *line {
	all := NewStatements(100)
	return &line{t: t, s: New(mode, all, nil), server: NewServer(all, reported)}
}

func (l *line) note(a Action) {
	if a != Continue && a != Read && a != Wait && a != Answer {
		l.did = append(l.did, a)
	}
}

// says has the client send messages, in pieces of at most piece bytes.
func (l *line) says(piece int, messages ...[]byte) {
	for all := bytes.Join(messages, nil); len(all) > 0; {
		n := min(piece, len(all))
		l.client = append(l.client, all[:n]...)
		all = all[n:]
		l.fromClient()
	}
}

func (l *line) fromClient() {
	for {
		st := l.s.FromClient(l.client)
		if st.Forward > st.Used || st.Used > len(l.client) || st.Used == 0 && st.Do == Continue && len(st.Inject) == 0 {
			l.t.Fatalf("step %+v for %d bytes", st, len(l.client))
		}
		l.toSrv.Write(l.client[:st.Forward])
		l.toSrv.Write(st.Inject)
		l.toCli.Write(st.Reply)
		if l.client = l.client[st.Used:]; st.Forward > 0 || len(st.Inject) > 0 {
			if !l.s.Attached() {
				l.t.Fatal("bytes are sent without a server")
			}
			l.note(l.s.Sent())
		}
		l.note(st.Do)
		switch st.Do {
		case Acquire:
			l.s.Attach(l.server)
		case Answer:
			l.toCli.Write(l.s.Answer())
		case Wait:
			if !l.s.Busy() {
				l.t.Fatal("it waits for a server that owes nothing")
			}
			return
		case Read:
			if l.s.Want() <= len(l.client) || l.s.Want() > Buffer {
				l.t.Fatalf("%d bytes are wanted, %d are there", l.s.Want(), len(l.client))
			}
			return
		case Close:
			l.client = nil
			return
		}
	}
}

// answers has the server send messages, in pieces of at most piece bytes.
func (l *line) answers(piece int, messages ...[]byte) {
	for all := bytes.Join(messages, nil); len(all) > 0; {
		n := min(piece, len(all))
		l.reply = append(l.reply, all[:n]...)
		all = all[n:]
		l.fromServer()
	}
}

func (l *line) fromServer() {
	l.s.Delivering()
	for {
		st := l.s.FromServer(l.reply)
		if st.Forward > st.Used || st.Used > len(l.reply) || len(st.Reply) > 0 || st.Used == 0 && st.Do == Continue && len(st.Inject) == 0 {
			l.t.Fatalf("step %+v for %d bytes", st, len(l.reply))
		}
		l.toCli.Write(l.reply[:st.Forward])
		l.toCli.Write(st.Inject)
		l.reply = l.reply[st.Used:]
		if st.Do == Break {
			l.note(Break)
			l.reply = nil
		}
		if st.Do != Continue || len(l.reply) == 0 {
			break
		}
	}
	l.note(l.s.Delivered())
	if l.s.Waiting() {
		l.fromClient()
	}
}

// types are the types of the messages in b, errors with their code and ReadyForQuery with its status.
func types(t tester, rules *wire.Rules, b []byte) string {
	t.Helper()
	s := wire.Scanner{Rules: rules}
	var out []string
	for len(b) > 0 {
		p, err := s.Next(b)
		if err != nil || p.Raw == nil || !p.Whole() {
			t.Fatalf("no whole message at the end of %v: %q", out, b)
		}
		word := string(p.Type)
		if rules == serverTypes && p.Type == wire.TypeErrorResponse {
			report, err := wire.ParseReport(p.Body())
			if err != nil {
				t.Fatal(err)
			}
			word += ":" + report.Code
		}
		if rules == serverTypes && p.Type == wire.TypeReadyForQuery {
			word += ":" + string(p.Body())
		}
		out = append(out, word)
		b = b[len(p.Raw):]
	}
	return strings.Join(out, " ")
}

var (
	serverTypes = wire.BackendRules(nil)
	clientTypes = wire.FrontendRules(nil)
)

func (l *line) want(what, got, want string) {
	l.t.Helper()
	if got != want {
		l.t.Errorf("%s: %s\nwant: %s", what, got, want)
	}
}

func (l *line) wantDid(want ...Action) {
	l.t.Helper()
	if len(l.did) != len(want) {
		l.t.Fatalf("actions are %v, want %v", l.did, want)
	}
	for i := range want {
		if l.did[i] != want[i] {
			l.t.Fatalf("actions are %v, want %v", l.did, want)
		}
	}
	l.did = nil
}

func message(typ byte, body ...byte) []byte {
	n := len(body) + 4
	return append([]byte{typ, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func sql(text string) []byte { return wire.AppendQuery(nil, text) }

func parse(name, text string) []byte { return wire.AppendParse(nil, name, text, nil) }

func bindTo(name string) []byte {
	return message('B', append(append([]byte{0}, name...), 0, 0, 0, 0, 0, 0, 0)...)
}

func ready(status byte) []byte { return wire.AppendReadyForQuery(nil, status) }

func tag(text string) []byte { return wire.AppendCommandComplete(nil, text) }

func fail(code string) []byte {
	return wire.AppendErrorResponse(nil, wire.Report{Severity: "ERROR", Code: code, Message: "no"})
}

var (
	executeAll = message('E', 0, 0, 0, 0, 0)
	syncAll    = wire.AppendSync(nil)
	parsed     = message('1')
	bound      = message('2')
	row        = message('D', 0, 0)
)
