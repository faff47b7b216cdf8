package session

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestTheServerConnectionIsLentForATransaction(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, sql("BEGIN"))
	l.wantDid(Acquire)
	l.answers(1000, tag("BEGIN"), ready('T'))
	l.wantDid()
	l.says(1000, sql("SELECT 1"))
	l.answers(1000, row, tag("SELECT 1"), ready('T'))
	l.wantDid()
	l.says(1000, sql("COMMIT"))
	l.answers(1000, tag("COMMIT"), ready('I'))
	l.wantDid(Release)
}

func TestAFailedTransactionIsNotOver(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, sql("BEGIN; SELECT 1/0"))
	l.answers(1000, tag("BEGIN"), fail("22012"), ready('E'))
	l.wantDid(Acquire)
	l.says(1000, sql("ROLLBACK"))
	l.answers(1000, tag("ROLLBACK"), ready('I'))
	l.wantDid(Release)
}

func TestEveryReplyOwedIsWaitedFor(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, sql("SELECT 1"), sql("SELECT 2"), parse("", "SELECT 3"), bindTo(""), executeAll, syncAll, syncAll)
	l.wantDid(Acquire)
	l.answers(1000, row, tag("SELECT 1"), ready('I'), row, tag("SELECT 1"), ready('I'))
	l.answers(1000, parsed, bound, row, tag("SELECT 1"), ready('I'))
	l.wantDid()
	l.answers(1000, ready('I'))
	l.wantDid(Release)
}

func TestWithoutASyncTheTransactionIsNotOver(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, parse("", "SELECT 1"), bindTo(""), executeAll, message('H'))
	l.answers(1000, parsed, bound, row, tag("SELECT 1"))
	l.wantDid(Acquire)
	l.says(1000, syncAll)
	l.answers(1000, ready('I'))
	l.wantDid(Release)
}

func TestAnErrorTakesEverythingUpToSyncWithIt(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, parse("", "nonsense"), bindTo(""), executeAll, parse("named", "SELECT 1"))
	l.answers(1000, fail("42601"))
	l.says(1000, bindTo("named"), sql("ignored, too"), syncAll)
	l.wantDid(Acquire)
	l.answers(1000, ready('I'))
	l.wantDid(Release)
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "E:42601 Z:I")
}

func TestAnErrorInAQueryIsFollowedByReady(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, sql("nonsense"), parse("", "SELECT 1"), syncAll)
	l.answers(1000, fail("42601"), ready('I'), parsed)
	l.wantDid(Acquire)
	l.answers(1000, ready('I'))
	l.wantDid(Release)
}

func TestNothingIsReleasedWhileBytesAreOnTheirWay(t *testing.T) {
	l := newLine(t, Transaction)
	in := append(sql("COPY nowhere FROM stdin"), message('d', 'x')...)
	s := &l.s
	if st := s.FromClient(in); st.Do != Acquire {
		t.Fatalf("step is %+v", st)
	}
	s.Attach(l.server)
	s.FromClient(in)
	s.Delivering()
	s.FromServer(append(fail("42P01"), ready('I')...))
	if got := s.Delivered(); got != Continue {
		t.Errorf("%v while bytes are on their way to the server", got)
	}
	if got := s.Sent(); got != Release {
		t.Errorf("%v when they have arrived, want Release", got)
	}

	in = sql("SELECT 1")
	s.FromClient(in)
	s.Attach(l.server)
	s.FromClient(in)
	s.Delivering()
	s.FromServer(ready('I'))
	if got := s.Sent(); got != Continue {
		t.Errorf("%v while bytes are on their way to the client", got)
	}
	if got := s.Delivered(); got != Release {
		t.Errorf("%v when they have arrived, want Release", got)
	}
}

func TestAMessageHalfSentKeepsTheConnection(t *testing.T) {
	l := newLine(t, Transaction)
	late := message('d', bytes.Repeat([]byte("x"), 100)...)
	l.says(1000, sql("COPY nowhere FROM stdin"), late[:50])
	l.answers(1000, fail("42P01"), ready('I'))
	l.wantDid(Acquire)
	l.says(1000, late[50:])
	l.wantDid(Release)
	l.says(1000, late, message('c'))
	l.wantDid()
}

func TestCopyFromTheClient(t *testing.T) {
	data, done, in := message('d', '1', '\n'), message('c'), message('G', 0, 0, 0)
	extended := [][]byte{parse("", "COPY t FROM stdin"), bindTo(""), executeAll}
	for _, c := range []struct {
		name string
		play func(l *line)
		did  []Action
	}{
		{"by a simple query", func(l *line) {
			l.says(1000, sql("COPY t FROM stdin"))
			l.answers(1000, in)
			l.says(1000, data, data, done)
			l.answers(1000, tag("COPY 2"), ready('I'))
		}, []Action{Acquire, Release}},
		{"with a Sync that the server ignores", func(l *line) {
			l.says(1000, append(extended, syncAll)...)
			l.answers(1000, parsed, bound, in)
			l.says(1000, data, done)
			l.answers(1000, tag("COPY 1"))
			if !l.s.Attached() {
				l.t.Fatal("the connection is released before the Sync that counts")
			}
			l.says(1000, syncAll)
			l.answers(1000, ready('I'))
		}, []Action{Acquire, Release}},
		{"with a Sync that the server ignores, sent while it copies", func(l *line) {
			l.says(1000, extended...)
			l.answers(1000, parsed, bound, in)
			l.says(1000, data, syncAll, done, syncAll)
			l.answers(1000, tag("COPY 1"), ready('I'))
		}, []Action{Acquire, Release}},
		{"all in one batch", func(l *line) {
			l.says(1000, append(extended, syncAll, data, done, syncAll)...)
			l.answers(1000, parsed, bound, in, tag("COPY 1"), ready('I'))
		}, []Action{Acquire, Release}},
		{"all in one batch, and the statement fails", func(l *line) {
			l.says(1000, append(extended, syncAll, data, done, syncAll)...)
			l.answers(1000, parsed, bound, fail("42P01"), ready('I'))
			if !l.s.Attached() {
				l.t.Fatal("the connection is released before the second Sync is answered")
			}
			l.answers(1000, ready('I'))
		}, []Action{Acquire, Release}},
		{"whose data is bad", func(l *line) {
			l.says(1000, extended...)
			l.answers(1000, parsed, bound, in)
			l.says(1000, data)
			l.answers(1000, fail("22P02"))
			l.says(1000, data, done, syncAll)
			l.answers(1000, ready('I'))
		}, []Action{Acquire, Release}},
		{"that fails when it is not known whether a Sync came before", func(l *line) {
			l.says(1000, append(extended, syncAll)...)
			l.answers(1000, parsed, bound, in, fail("57014"), ready('I'))
			if l.s.Pinned() != Uncertain {
				l.t.Errorf("pinned: %v", l.s.Pinned())
			}
			l.note(l.s.Leave(true))
		}, []Action{Acquire, Discard}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLine(t, Transaction)
			c.play(l)
			l.wantDid(c.did...)
		})
	}
}

func TestWithoutAServerWhatDoesNothingIsNotSent(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, syncAll, syncAll, message('H'), message('d', 'x'), message('c'))
	l.wantDid()
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "Z:I Z:I")
}

func TestNamesAreRefusedIfTheyAreSwitchedOff(t *testing.T) {
	l := newLine(t, Transaction)
	l.s.statements.SetLimit(0)
	l.says(1000, parse("", "INSERT"), bindTo(""), executeAll, parse("named", "SELECT 1"), bindTo("named"), syncAll)
	l.want("the server gets", types(t, clientTypes, l.toSrv.Bytes()), "P B E D B S")
	l.answers(1000, parsed, bound, tag("INSERT 0 1"), fail("26000"), ready('I'))
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "1 2 C E:0A000 Z:I")
	l.wantDid(Acquire, Release)
	if got := l.s.Counts().Refused; got != 1 {
		t.Errorf("%d refusals are counted, want 1", got)
	}
}

func TestARefusedAcquireIsAnErrorOfTheStatement(t *testing.T) {
	refuse := wire.Report{Severity: "ERROR", Code: "53300", Message: "no"}
	for name, c := range map[string]struct {
		statement []byte
		want      string
	}{
		"a query":     {sql("SELECT 1"), "E:53300 Z:I Z:I"},
		"an extended": {append(parse("", "SELECT 1"), bindTo("")...), "E:53300 Z:I"},
		"a call":      {message('F', 0, 0, 0, 1), "E:53300 Z:I Z:I"},
	} {
		l := newLine(t, Transaction)
		if st := l.s.FromClient(c.statement); st.Do != Acquire || st.Used != 0 {
			t.Fatalf("%s: step is %+v", name, st)
		}
		l.s.Refuse(refuse)
		l.says(3, c.statement, syncAll)
		l.want(name, types(t, serverTypes, l.toCli.Bytes()), c.want)
	}
}

func TestLeaving(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    Mode
		play    func(l *line)
		polite  bool
		want    Action
		cleanup string
	}{
		{"without a server", Transaction, func(l *line) {}, false, Continue, ""},
		{"in a transaction", Transaction, func(l *line) {
			l.says(1000, sql("BEGIN"))
			l.answers(1000, tag("BEGIN"), ready('T'))
		}, false, Reset, "Q"},
		{"in the middle of a statement", Transaction, func(l *line) { l.says(1000, sql("SELECT 1")) }, false, Discard, ""},
		{"in the middle of a message", Transaction, func(l *line) { l.says(1000, sql(strings.Repeat("x", 5000))[:3000]) }, true, Discard, ""},
		{"in the middle of a batch", Transaction, func(l *line) { l.says(1000, parse("", "SELECT 1")) }, true, Discard, ""},
		{"in session mode", Lasting, func(l *line) {
			l.says(1000, sql("SELECT 1"))
			l.answers(1000, tag("SELECT 1"), ready('I'))
		}, true, Reset, "Q"},
		{"in session mode, in a transaction", Lasting, func(l *line) {
			l.says(1000, sql("BEGIN"))
			l.answers(1000, tag("BEGIN"), ready('T'))
		}, true, Reset, "Q Q"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLine(t, c.mode)
			c.play(l)
			if got := l.s.Leave(c.polite); got != c.want {
				t.Errorf("leaving is %v, want %v", got, c.want)
			}
			l.want("the cleanup is", types(t, clientTypes, l.server.Cleanup()), c.cleanup)
		})
	}
}

func TestAPoliteLeaveFinishesWhatWasAsked(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, sql("INSERT"))
	if got := l.s.Leave(true); got != Continue {
		t.Fatalf("leaving is %v, want Continue", got)
	}
	l.answers(1000, tag("INSERT 0 1"), ready('I'))
	l.wantDid(Acquire, Release)
}

func TestSomebodyElsesNotificationIsKeptBackAndTheConnectionClosed(t *testing.T) {
	notification := message('A', 0, 0, 0, 1, 'a', 0, 'b', 0)
	l := newLine(t, Transaction)
	l.says(1000, sql("SELECT 1"))
	l.answers(4, notification, tag("SELECT 1"), notification, ready('I'))
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "C Z:I")
	l.wantDid(Acquire, Discard)

	l = newLine(t, Transaction)
	l.says(1000, sql("LISTEN a"))
	l.answers(1000, tag("LISTEN"), ready('I'), notification)
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "C Z:I A")
}

func TestWhatAnIdleConnectionMaySay(t *testing.T) {
	for _, c := range []struct {
		name string
		says []byte
		want Condition
	}{
		{"a notice", wire.AppendNoticeResponse(nil, wire.Report{Severity: "NOTICE"}), Unchanged},
		{"a new setting", wire.AppendParameterStatus(nil, "TimeZone", "UTC"), Unchanged},
		{"an error", fail("57P01"), Broken},
		{"a notification", message('A', 0, 0, 0, 1, 'a', 0, 'b', 0), Broken},
		{"a row", row, Broken},
		{"a reply to nothing", ready('I'), Broken},
		{"nonsense", []byte("HTTP/1.1"), Broken},
	} {
		if _, got := NewServer(NewStatements(1), nil).Quiet(c.says); got != c.want {
			t.Errorf("%s: the connection is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestASessionThatIsUncertainKeepsTheStatementsThatItsServerHas(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, parse("n", "SELECT 1"), syncAll, sql("BEGIN"))
	l.answers(1000, parsed, ready('I'))
	l.answers(1000, tag("BEGIN"), ready('T'))
	l.answers(1000, fail(wire.CodeQueryCanceled)) // which nobody has asked for
	if l.s.Pinned() != Uncertain {
		t.Fatalf("it is pinned for %v", l.s.Pinned())
	}
	l.s.statements.retire(l.s.names.find([]byte("n")).stmt)
	for range 2 {
		l.toSrv.Reset()
		l.toCli.Reset()
		l.says(1000, bindTo("n"), executeAll, syncAll)
		l.want("the server gets", types(t, clientTypes, l.toSrv.Bytes()), "B E S")
		l.answers(1000, bound, tag("SELECT 0"), ready('T'))
		l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "2 C Z:T")
	}
}

func TestBadMessagesEndTheSession(t *testing.T) {
	for _, c := range [][]byte{
		{'p', 0, 0, 0, 8, 0, 0, 0, 0}, {'Q', 0, 0, 0, 3}, {'Q', 0x7f, 0xff, 0xff, 0xff}, {'S', 0, 0, 0, 5, 0}, {0, 0, 0, 0, 4},
		message('B', bytes.Repeat([]byte("x"), 6000)...)[:5000],
	} {
		l := newLine(t, Lasting)
		l.says(len(c), c)
		if got := l.did[len(l.did)-1]; got != Close {
			t.Errorf("after %q the action is %v, want Close", c[:5], got)
		}
		if got := types(t, serverTypes, l.toCli.Bytes()); got != "E:08P01" {
			t.Errorf("%q is answered with %s", c[:5], got)
		}
	}
}

func TestALedgerIsBounded(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1<<20, bytes.Repeat(parse("", ""), maxOwed+10))
	if !l.s.Waiting() || l.s.owed.len() != maxOwed {
		t.Fatalf("%d replies are owed, and the client waits: %v", l.s.owed.len(), l.s.Waiting())
	}
	l.answers(1<<20, bytes.Repeat(parsed, 20))
	if l.s.Waiting() || len(l.client) > 0 {
		t.Errorf("%d bytes of the client are left", len(l.client))
	}
	if got := l.s.Leave(false); got != Discard {
		t.Errorf("leaving is %v, want Discard", got)
	}
}

func TestForwardingDoesNotAllocate(t *testing.T) {
	all := NewStatements(100)
	s, server := New(Transaction, all, nil), NewServer(all, nil)
	in := bytes.Join([][]byte{parse("", "SELECT n FROM t WHERE id = $1"), bindTo(""), executeAll, syncAll}, nil)
	out := bytes.Join([][]byte{parsed, bound, bytes.Repeat(row, 50), tag("SELECT 50"), ready('I')}, nil)
	transaction := func() {
		if st := s.FromClient(in); st.Do != Acquire {
			t.Fatalf("step is %+v", st)
		}
		s.Attach(server)
		if st := s.FromClient(in); st.Forward != len(in) {
			t.Fatalf("step is %+v", st)
		}
		s.Sent()
		s.Delivering()
		if st := s.FromServer(out); st.Forward != len(out) {
			t.Fatalf("step is %+v", st)
		}
		if s.Delivered() != Release {
			t.Fatal("the connection is not released")
		}
	}
	if n := testing.AllocsPerRun(100, transaction); n != 0 {
		t.Errorf("%v allocations a transaction, want 0", n)
	}
}

func BenchmarkTransaction(b *testing.B) {
	const text = "SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;"
	result := bytes.Join([][]byte{message('T', make([]byte, 28)...), row, tag("SELECT 1"), ready('I')}, nil)
	for _, c := range []struct {
		name    string
		in, out []byte
	}{
		{"simple", sql(text), result},
		{"extended", bytes.Join([][]byte{parse("", text), bindTo(""), message('D', 'P', 0), executeAll, syncAll}, nil),
			bytes.Join([][]byte{parsed, bound, result}, nil)},
		{"60 rows of 1 kB", sql(text), append(bytes.Repeat(message('D', make([]byte, 1000)...), 60), result...)},
	} {
		b.Run(c.name, func(b *testing.B) {
			all := NewStatements(100)
			s, server := New(Transaction, all, nil), NewServer(all, nil)
			b.ReportAllocs()
			for b.Loop() {
				s.FromClient(c.in)
				s.Attach(server)
				s.FromClient(c.in)
				s.Sent()
				s.Delivering()
				s.FromServer(c.out)
				if s.Delivered() != Release {
					b.Fatal("the connection is not released")
				}
			}
		})
	}
}
