package session

import (
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

var textServer = NewServer(NewStatements(1), []wire.Param{
	{Name: "TimeZone", Value: "UTC"}, {Name: "DateStyle", Value: "ISO, MDY"}, {Name: "client_encoding", Value: "UTF8"},
	{Name: "standard_conforming_strings", Value: "on"}, {Name: "server_version", Value: "15"},
})

// inPieces reads a text in pieces of at most so many bytes.
func inPieces(v *Server, body string, piece int) traits {
	var t text
	t.begin(v)
	for len(body) > 0 {
		n := min(piece, len(body))
		t.feed([]byte(body[:n]))
		body = body[n:]
	}
	t.end()
	return t.traits
}

func TestWhatATextDoes(t *testing.T) {
	pin := func(r Reason) traits { return traits{pin: r} }
	sets := traits{sets: true, changes: true}
	local := traits{changes: true}
	path := func(names string) traits { return traits{changes: true, hasPath: true, path: names} }
	for _, c := range []struct {
		text string
		want traits
	}{
		{"SELECT 1", traits{}},
		{"", traits{}},
		{"LISTEN x", pin(Listen)},
		{"/* why */ listen -- x", pin(Listen)},
		{"unlisten x", traits{}},
		{"SELECT 'LISTEN x; LISTEN y', listen_count", traits{}},
		{"SELECT 'it''s'; LISTEN x", pin(Listen)},
		{`SELECT 'it\'; LISTEN x`, pin(Listen)},
		{`SELECT E'it\'; LISTEN x'`, traits{}},
		{"SELECT $$; LISTEN x;$$, $a$; LISTEN $$ $b$ $a$; LISTEN x", pin(Listen)},
		{"SELECT $1, $2; LISTEN x", pin(Listen)},
		{"SELECT a$b$; LISTEN x; SELECT c$b$", pin(Listen)},
		{"SELECT \"; LISTEN x\" -- ; LISTEN x", traits{}},
		{"SELECT /* ; LISTEN /* x */ ; LISTEN */ 1", traits{}},
		{"CREATE TEMP TABLE t ()", pin(TempTable)},
		{"CREATE LOCAL TEMPORARY TABLE t ()", pin(TempTable)},
		{"create or replace temp view v as select 1", pin(TempTable)},
		{"SELECT 1 INTO TEMP t", pin(TempTable)},
		{"CREATE TABLE pg_temp.t ()", pin(TempTable)},
		{`CREATE TABLE "pg_temp".t ()`, pin(TempTable)},
		{"SELECT temp, temporary FROM sensors", traits{}},
		{"DECLARE c CURSOR WITH/**/HOLD FOR SELECT 1", pin(HoldCursor)},
		{"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", traits{}},
		{"prepare p as select 1", traits{pin: SQLPrepare, uses: "p\x00"}},
		{`PREPARE "P"(int) AS SELECT $1; EXPLAIN EXECUTE P(1)`, traits{pin: SQLPrepare, uses: "P\x00p\x00"}},
		{"CREATE TABLE t AS EXECUTE p", traits{uses: "p\x00"}},
		{"DO 'BEGIN EXECUTE p; END'", traits{changes: true}},
		{"PREPARE TRANSACTION 'x'", traits{}},
		{"LOAD 'x'", pin(Load)},
		{"select pg_catalog.set_config('a','b',false)", traits{pin: SetConfig, changes: true}},
		{"select set_config('a', f(1, true), true)", local},
		{"select set_config('a', 'b', not true)", traits{pin: SetConfig, changes: true}},
		{"select set_config('a', 'b', true), set_config('a', 'b', $1)", traits{pin: SetConfig, changes: true}},
		{"select set_config('a', set_config('b', 'c', true), true)", traits{pin: SetConfig, changes: true}},
		{"select \"pg_advisory_lock\"(1)", pin(AdvisoryLock)},
		{"select pg_try_advisory_lock_shared(1)", pin(AdvisoryLock)},
		{"select pg_advisory_xact_lock(1), pg_advisory_unlock(1)", traits{}},
		{"SET x = 1", sets},
		{"set\n\tx to 1", sets},
		{"SET ext.x = 1", sets},
		{"SET timezone.x = 1", sets},
		{"SET SESSION x = 1", sets},
		{"SET SESSION AUTHORIZATION x", sets},
		{"SET ROLE x", sets},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", sets},
		{"SET \"x\" = 1", sets},
		{"SET /* LOCAL */ x = 1", sets},
		{"SET LOCAL x = 1; SET y = 1", sets},
		{"SET server_version = 1", sets},
		{"SET LOCAL x = 1", local},
		{"Set Transaction READ ONLY", local},
		{"SET CONSTRAINTS ALL DEFERRED", local},
		{"SET TimeZone = 'UTC'", local},
		{"SET \"timezone\" TO UTC; SET datestyle = german", local},
		{"SET NAMES 'UTF8'", local},
		{"SET TIME ZONE 'UTC'", local},
		{"SET TIME ZONE LOCAL", traits{changes: true, resets: true}},
		{"SET timezone TO DEFAULT", traits{changes: true, resets: true}},
		{"RESET timezone", traits{changes: true, resets: true}},
		{"RESET ALL", traits{changes: true, resets: true, hasPath: true}},
		{"RESET ALL; SELECT 1", traits{changes: true, resets: true, sets: true}},
		{"DISCARD ALL;", traits{changes: true, resets: true, drops: true, hasPath: true}},
		{"SELECT reset, sets, set_x", traits{}},
		{"UPDATE t SET a = 1", traits{}},
		{"SET search_path TO a, \"B c\" , \"$user\"", path(`a,"B c","$user"`)},
		{"set search_path = a;", path("a")},
		{`SET search_path TO "a""b", c`, path(`"a""b",c`)},
		{"SET search_path TO DEFAULT", traits{changes: true, hasPath: true}},
		{"SET search_path TO 'a'", sets},
		{"SET search_path TO a; SELECT 1", sets},
		{"SET search_path TO a -- b", sets},
		{"SET search_path", sets},
		{"DEALLOCATE Foo", traits{drops: true, closes: "foo\x00"}},
		{`DEALLOCATE PREPARE "Foo" ;`, traits{drops: true, closes: "Foo\x00"}},
		{`DEALLOCATE "a""b"`, traits{drops: true}},
		{"DEALLOCATE foo; SELECT 1; DEALLOCATE bar", traits{drops: true, closes: "foo\x00bar\x00"}},
		{"DEALLOCATE ALL", traits{drops: true}},
		{"DO $$ BEGIN LISTEN x; END $$", traits{pin: Listen, changes: true}},
		{"DO 'BEGIN EXECUTE ''SET x = 1''; END'", sets},
		{"DO $$ BEGIN UPDATE t SET x = 1; END $$", local},
		{"DO $$ BEGIN ALTER TABLE t ADD c int; END $$", traits{changes: true, defines: true}},
		{"ALTER TABLE t ADD c int", traits{}},
		{"fetch all in c", traits{fluid: true}},
		{"EXECUTE s(1)", traits{fluid: true, uses: "s\x00"}},
		{"SELECT fetch", traits{}},
		{"DO $$ BEGIN PERFORM set_config('a', 'b', true); END $$", traits{pin: SetConfig, changes: true}},
		{"CALL p(); SELECT 'LISTEN'", local},
		{"SELECT a_word_that_is_longer_than_all_that_are_looked_for_and_even_longer_listen", traits{}},
	} {
		for _, piece := range []int{1, 3, 1000} {
			got := inPieces(textServer, c.text+"\x00 behind the text: LISTEN", piece)
			if got != c.want {
				t.Errorf("%q in pieces of %d: %+v\nwant %+v", c.text, piece, got, c.want)
			}
		}
	}
}

func TestABackslashEscapesIfTheSessionSaysSo(t *testing.T) {
	v := NewServer(NewStatements(1), []wire.Param{{Name: "standard_conforming_strings", Value: "off"}})
	if got := inPieces(v, `SELECT 'it\'; LISTEN x'`, 1); got.pin != NotPinned {
		t.Errorf("a string that goes on is taken for code: %+v", got)
	}
}

func TestLookingAtTextDoesNotAllocate(t *testing.T) {
	var w text
	body := []byte("SELECT a, 'b', \"c\" FROM t WHERE listener = 'x' AND set_name = $1 ORDER BY hold_until\x00")
	if n := testing.AllocsPerRun(100, func() { w.begin(textServer); w.feed(body); w.end() }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzText(f *testing.F) {
	for _, text := range []string{"SET search_path TO a", "DO $a$ x $a$", "SELECT set_config(E'\\'', (1), true)", "DEALLOCATE \"a\""} {
		f.Add(text, 1)
	}
	f.Fuzz(func(t *testing.T, body string, piece int) {
		if piece < 1 {
			return
		}
		if whole, pieces := inPieces(textServer, body, len(body)+1), inPieces(textServer, body, piece); whole != pieces {
			t.Errorf("%q is %+v, and in pieces of %d %+v", body, whole, piece, pieces)
		}
	})
}

func TestANamedStatementThatIsKnownCostsNoAllocation(t *testing.T) {
	all := NewStatements(10)
	s, server := New(Transaction, all, nil), NewServer(all, reported)
	l := &line{t: t, s: s, server: server}
	l.says(1000, parse("mine", "SELECT $1"), syncAll)
	l.answers(1000, parsed, ready('I'))
	in := append(bindTo("mine"), append(executeAll, syncAll...)...)
	out := append(append([]byte{}, bound...), append(tag("SELECT 1"), ready('I')...)...)
	transaction := func() {
		rest := in
		for len(rest) > 0 {
			st := l.s.FromClient(rest)
			if st.Do == Acquire {
				l.s.Attach(server)
			}
			rest = rest[st.Used:]
		}
		l.s.Sent()
		l.s.Delivering()
		for rest = out; len(rest) > 0; {
			rest = rest[l.s.FromServer(rest).Used:]
		}
		if l.s.Delivered() != Release {
			t.Fatal("the connection is not released")
		}
	}
	if n := testing.AllocsPerRun(100, transaction); n != 0 {
		t.Errorf("%v allocations a transaction, want 0", n)
	}
}
