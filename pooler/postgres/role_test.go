package postgres

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestEndpointsThatHaveJustFailedAreTriedLast(t *testing.T) {
	a, b, c := Endpoint{Host: "a"}, Endpoint{Host: "b"}, Endpoint{Host: "c"}
	all := []Endpoint{a, b, c}
	var n endpoints
	now := time.Now()
	expect := func(what string, want ...Endpoint) {
		t.Helper()
		if got := n.order(all, now); !slices.Equal(got, want) {
			t.Errorf("%s: the order is %v, want %v", what, got, want)
		}
	}
	expect("at first", a, b, c)
	n.failed(a, now)
	expect("a has failed", b, c, a)
	n.failed(b, now)
	n.failed(c, now)
	expect("all have failed", a, b, c)
	n.opened(b)
	expect("b is back", b, a, c)
	now = now.Add(firstSetback)
	expect("after a while", a, b, c)
	n.failed(a, now)
	now = now.Add(firstSetback)
	expect("a second failure counts for longer", b, c, a)
	for range 20 {
		n.failed(a, now)
	}
	now = now.Add(longestSetback)
	expect("but not for ever", a, b, c)
}

func TestARefusalToWriteIsADoubtOnceASecond(t *testing.T) {
	var n endpoints
	now := time.Now()
	at := Endpoint{Host: "a"}
	if !n.doubt(at, now) || n.doubt(at, now.Add(time.Second/2)) || !n.doubt(at, now.Add(time.Second)) {
		t.Error("a doubt is not noted once a second")
	}
}

func TestAnOlderServerIsAskedForItsRole(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  []byte
		want    bool
		wantErr bool
	}{
		{"a standby", answer("on"), true, false},
		{"a primary", answer("off"), false, false},
		{"an error", wire.AppendErrorResponse(nil, wire.Report{Severity: "ERROR", Code: "42704", Message: "no"}), false, true},
		{"no message", []byte("HTTP/1.1 400 Bad Request\r\n"), false, true},
	} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			theirs.Read(make([]byte, 1024))
			for i := range c.answer { // in the smallest pieces
				theirs.Write(c.answer[i : i+1])
			}
		}()
		got, err := askReadOnly(t.Context(), ours)
		if got != c.want || (err != nil) != c.wantErr {
			t.Errorf("%s: read-only is %v (%v)", c.name, got, err)
		}
		ours.Close()
	}
}

// answer is what a server says to SHOW transaction_read_only.
func answer(value string) []byte {
	body := append([]byte{0, 1, 0, 0, 0, byte(len(value))}, value...)
	n := len(body) + 4
	out := []byte{wire.TypeRowDescription, 0, 0, 0, 6, 0, 0}
	out = append(out, wire.TypeDataRow, 0, 0, 0, byte(n))
	out = append(out, body...)
	out = append(out, wire.TypeCommandComplete, 0, 0, 0, 9, 'S', 'H', 'O', 'W', 0)
	return wire.AppendReadyForQuery(out, wire.StatusIdle)
}

func TestWhatAServerReportsSaysItsRole(t *testing.T) {
	p := func(name, value string) wire.Param { return wire.Param{Name: name, Value: value} }
	for _, c := range []struct {
		name            string
		params          []wire.Param
		readOnly, known bool
	}{
		{"a primary", []wire.Param{p("in_hot_standby", "off"), p("default_transaction_read_only", "off")}, false, true},
		{"a standby", []wire.Param{p("in_hot_standby", "on"), p("default_transaction_read_only", "off")}, true, true},
		{"a primary that is fenced", []wire.Param{p("default_transaction_read_only", "on"), p("in_hot_standby", "off")}, true, true},
		{"an older server", []wire.Param{p("server_version", "13.1")}, false, false},
	} {
		if readOnly, known := reportsReadOnly(c.params); readOnly != c.readOnly || known != c.known {
			t.Errorf("%s: read-only is %v, known %v", c.name, readOnly, known)
		}
	}
}
