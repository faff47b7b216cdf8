package postgres

import (
	"errors"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestWhatAnOlderServerDoesNotKnowIsLeftOut(t *testing.T) {
	var q quirks
	refusal := func(code, message string) error {
		return errors.Join(&wire.ServerError{Report: wire.Fatal(code, message)})
	}
	unknown := refusal(wire.CodeUndefinedObject, `unrecognized configuration parameter "client_connection_check_interval"`)
	if !q.learn(unknown) || q.learn(unknown) {
		t.Error("it is not learned, or learned twice: dialing would go round in circles")
	}
	if q.learn(refusal(wire.CodeUndefinedObject, `unrecognized configuration parameter "mine"`)) {
		t.Error("a client's own setting is taken for one of ours")
	}
	if got := len(q.guards()); got != len(guards)-1 {
		t.Errorf("%d guards are left, want %d", got, len(guards)-1)
	}
	q.forget()
	if got := len(q.guards()); got != len(guards) {
		t.Errorf("for another server there are %d guards, want %d", got, len(guards))
	}
}

func TestAKeyIsTheSameForClientsThatMeanTheSame(t *testing.T) {
	p := func(pairs ...string) (params []wire.Param) {
		for i := 0; i < len(pairs); i += 2 {
			params = append(params, wire.Param{Name: pairs[i], Value: pairs[i+1]})
		}
		return params
	}
	for _, c := range []struct {
		name string
		a, b []wire.Param
		same bool
	}{
		{"order does not count", p("a", "1", "b", "2"), p("b", "2", "a", "1"), true},
		{"nor does case of names", p("Search_Path", "a"), p("search_path", "a"), true},
		{"settings that are replayed do not count", p("DateStyle", "ISO", "application_name", "a"), p("timezone", "UTC"), true},
		{"of two values the last counts", p("a", "1", "a", "2"), p("a", "2"), true},
		{"values count", p("a", "1"), p("a", "2"), false},
		{"an empty value is a value", p("a", ""), p(), false},
		{"names and values do not run together", p("a", "b", "c", "d"), p("a", "bc", "", "d"), false},
		{"the pooler's own settings do not count", p("TCP_keepalives_idle", "9"), p(), true},
	} {
		a, _ := split(c.a)
		b, _ := split(c.b)
		if got := a == b; got != c.same {
			t.Errorf("%s: same is %v", c.name, got)
		}
	}
	opened, set := split(p("b", "2", "timezone", "UTC", "a", "", "TimeZone", "Asia/Tokyo"))
	if len(set) != 1 || set[0] != (wire.Param{Name: "TimeZone", Value: "Asia/Tokyo"}) {
		t.Errorf("the settings to replay are %v", set)
	}
	if got := (key{params: opened}).startup(); len(got) != 2 || got[0].Name != "a" || got[1].Value != "2" {
		t.Errorf("the parameters come back as %v", got)
	}
}
