package session

import (
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// piece is a message that is there as a whole.
func piece(t *testing.T, message []byte) wire.Piece {
	t.Helper()
	in := wire.Scanner{Rules: clientRules}
	p, err := in.Next(message)
	if err != nil || p.Raw == nil {
		t.Fatalf("%q is no message: %v", message, err)
	}
	return p
}

func TestWhichTextsOpenATransactionBlock(t *testing.T) {
	for text, want := range map[string]bool{
		"BEGIN": true, "begin": true, "Begin;": true, "BEGIN ; -- that is all": true, "BEGIN ISOLATION LEVEL SERIALIZABLE": true,
		"START TRANSACTION READ ONLY": true, "/* who */ -- why\n start\ttransaction": true,
		"": false, ";": false, "SELECT 1": false, "BEGINNING": false, "START": false, "START REPLICATION": false,
		"BEGIN; SELECT 1; COMMIT": false, "SELECT 'BEGIN'": false, "-- BEGIN": false, "/* BEGIN": false,
	} {
		if got := opensBlock(piece(t, wire.AppendQuery(nil, text))); got != want {
			t.Errorf("Query %q: %v, want %v", text, got, want)
		}
		if got := opensBlock(piece(t, wire.AppendParse(nil, "name", text, nil))); got != want {
			t.Errorf("Parse %q: %v, want %v", text, got, want)
		}
	}
	if opensBlock(piece(t, wire.AppendSync(nil))) {
		t.Error("a Sync opens a block")
	}
}

func FuzzOpensBlock(f *testing.F) {
	for _, text := range []string{"BEGIN", "/* /* */ BEGIN", "--\nSTART  TRANSACTION;;", "\x00", "/*", "--"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<10 {
			return
		}
		opensBlock(piece(t, wire.AppendQuery(nil, text)))
	})
}

// left is a session that was given these messages, of which none is answered yet.
func left(t *testing.T, mode Mode, messages ...[]byte) *Session {
	t.Helper()
	statements := &Statements{}
	s := New(mode, statements, nil)
	s.Attach(NewServer(statements, nil))
	for _, m := range messages {
		for len(m) > 0 {
			st := s.FromClient(m)
			if st.Do == Close || st.Used == 0 && st.Do != Continue {
				t.Fatalf("%q: the action is %v", m, st.Do)
			}
			m = m[st.Used:]
		}
	}
	s.Sent()
	return &s
}

func TestWhatAVanishedClientLeavesIsFinishedWhereThatCanBeTold(t *testing.T) {
	query := wire.AppendQuery(nil, "SELECT 1")
	long := wire.AppendQuery(nil, "SELECT '"+strings.Repeat("x", 10_000)+"'")
	for _, c := range []struct {
		name     string
		mode     Mode
		messages [][]byte
		ok       bool
		inject   string
	}{
		{"nothing", Transaction, nil, false, ""},
		{"a statement", Transaction, [][]byte{query}, true, ""},
		{"a pipeline without its Sync", Lasting, [][]byte{wire.AppendParse(nil, "", "SELECT 1", nil)}, true, "S\x00\x00\x00\x04"},
		{"half a message", Transaction, [][]byte{query, long[:5_000]}, false, ""},
		{"a walsender", Once, [][]byte{query}, false, ""},
	} {
		s := left(t, c.mode, c.messages...)
		inject, ok := s.Part()
		if ok != c.ok || string(inject) != c.inject {
			t.Errorf("%s: kept is %v, and %q is sent", c.name, ok, inject)
			continue
		}
		if !ok {
			continue
		}
		if len(inject) > 0 {
			s.Sent()
		}
		if do := s.Abandon(); do != Discard {
			t.Errorf("%s: giving up is %v", c.name, do)
		}
		if do := s.Abandon(); do != Continue {
			t.Errorf("%s: giving up twice is %v", c.name, do)
		}
	}
}
