package process

import (
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryCounterOfTheEngineIsPassedOn(t *testing.T) {
	var in postgres.Counters
	fields := reflect.ValueOf(&in).Elem()
	want := map[uint64]bool{}
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.Uint64 {
			f.SetUint(uint64(1000 + i))
			want[uint64(1000+i)] = true
		}
	}
	out := reflect.ValueOf(counters(in))
	for i := range out.NumField() {
		if f := out.Field(i); f.Kind() == reflect.Uint64 {
			if !want[f.Uint()] {
				t.Errorf("%s is %d: from no counter, or from one that another has too", out.Type().Field(i).Name, f.Uint())
			}
			delete(want, f.Uint())
		}
	}
	for left := range want {
		t.Errorf("%s is not passed on", fields.Type().Field(int(left-1000)).Name)
	}
}

func TestEveryReasonToPinHasACount(t *testing.T) {
	var in postgres.Counters
	in.Pins[session.Listen] = 3
	pins := counters(in).Pins
	if len(pins) != session.Reasons-1 || pins["Listen"] != 3 {
		t.Fatalf("%v", pins)
	}
	if _, ok := pins[session.NotPinned.String()]; ok {
		t.Fatal("not being pinned is no reason")
	}
}

func TestEveryTimeoutHasACount(t *testing.T) {
	var in postgres.Counters
	in.Timeouts[postgres.QueryTimeout] = 3
	timeouts := counters(in).Timeouts
	if len(timeouts) != len(in.Timeouts)-1 || timeouts["query"] != 3 {
		t.Fatalf("%v", timeouts)
	}
}

func TestWaitsKeepTheirBounds(t *testing.T) {
	h := histogram(postgres.Histogram{Bounds: []time.Duration{time.Millisecond, time.Second}, Counts: []uint64{1, 2, 3}})
	if !slices.Equal(h.BoundsMicroseconds, []int64{1000, 1_000_000}) || !slices.Equal(h.Counts, []int64{1, 2, 3}) {
		t.Fatalf("%+v", h)
	}
}

func TestAnEngineObeysALimitAndKnowsNothingOfItsServerYet(t *testing.T) {
	d := config.Destination{Name: "main", Protocol: "PostgreSQL", PostgreSQL: &postgres.Config{
		Name: "main", Endpoints: []postgres.Endpoint{{Host: "127.0.0.1", Port: 1}},
		Users:  map[string]postgres.Passwords{"app": {"one"}},
		Limits: postgres.Limits{MaxOpen: 7, MaxIdle: 7, MaxWaiting: -1, MaxClients: 10, AcquireTimeout: time.Second},
	}}
	engine, err := newEngine(d, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if err := engine.Apply(d); err != nil {
		t.Fatal(err)
	}
	s := engine.Stats()
	if s.Limit != 7 || s.Open != 0 || s.Reachable != "Unknown" || s.Fault != nil || len(s.Wait.Counts) != len(s.Wait.BoundsMicroseconds)+1 {
		t.Fatalf("%+v", s)
	}
}

func TestAProtocolThatIsNotSpokenIsRefused(t *testing.T) {
	_, err := newEngine(config.Destination{Name: "main", Protocol: "Gopher"}, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err == nil || err.Error() != `protocol "Gopher" is not spoken by this pooler` {
		t.Fatalf("got %v", err)
	}
}
