package metrics

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/podapi"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

// full is a Snapshot in which nothing is missing.
func full() agent.Snapshot {
	h := podapi.Histogram{BoundsMicroseconds: []int64{1000, 1000000}, Counts: []int64{4, 2, 1}}
	pair := agent.Pair{Database: "shop", User: "app"}
	for _, one := range []*agent.Histogram{&pair.Wait, &pair.Dial, &pair.Query, &pair.Transaction} {
		*one = agent.Histogram{Histogram: h, Sum: 3.5}
	}
	return agent.Snapshot{
		Problems: []podapi.Problem{{Destination: "main", Reason: podapi.ReasonSecretMissing}},
		Destinations: []agent.DestinationStats{{
			Name: "main",
			Stats: agent.Stats{Reachable: "True", Wait: h, Counters: agent.Counters{
				Pins: map[string]uint64{"Listen": 1}, Timeouts: map[string]uint64{"query": 1},
			}},
			Detail: agent.Detail{Pairs: []agent.Pair{pair}, Pins: map[string]agent.Pin{"Listen": {Clients: 2, Oldest: time.Minute}}, Consoles: 1},
		}},
	}
}

// What docs/metrics.md says is what is exported. Rewrite its table with: go test ./pooler/metrics -update
func TestTheDocumentNamesEveryMetricAndNoOther(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(Collector("v1", full))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| Metric | Type | Labels | |\n|---|---|---|---|\n")
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	const path = "../../docs/metrics.md"
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	within := regexp.MustCompile(`(?s)\| Metric \|.*?\n\n`)
	if want := table.String() + "\n"; within.FindString(string(document)) != want {
		if !*update {
			t.Fatalf("the table of %s should be\n%s", path, want)
		}
		if err := os.WriteFile(path, within.ReplaceAllLiteral(document, []byte(want)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTimesAreToldByDatabaseAndUser(t *testing.T) {
	got := scrape(t, full())
	for _, line := range []string{
		`weir_pool_client_wait_seconds_count{database="shop",destination="main",user="app"} 7`,
		`weir_pool_query_seconds_bucket{database="shop",destination="main",user="app",le="1"} 6`,
		`weir_pool_transaction_seconds_sum{database="shop",destination="main",user="app"} 3.5`,
		`weir_pool_dial_seconds_bucket{database="shop",destination="main",user="app",le="+Inf"} 7`,
		`weir_pool_pinned_clients{destination="main",reason="Listen"} 2`,
		`weir_pool_pinned_oldest_seconds{destination="main",reason="Listen"} 60`,
		`weir_pool_console_clients{destination="main"} 1`,
	} {
		if !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
}

func TestManyUsersDoNotMakeManySeries(t *testing.T) {
	s := full()
	d := &s.Destinations[0].Detail
	for i := range 1000 {
		p := d.Pairs[0]
		p.User = fmt.Sprint("user", i)
		d.Pairs = append(d.Pairs, p)
	}
	got := scrape(t, s)
	if n := strings.Count(got, "\nweir_pool_query_seconds_count{"); n != maxPairs+1 {
		t.Errorf("%d pairs are told apart", n)
	}
	rest := fmt.Sprintf(`weir_pool_query_seconds_count{database="other",destination="main",user="other"} %d`, 7*(1001-maxPairs))
	if !strings.Contains(got, "\n"+rest+"\n") || !strings.Contains(got, `user="user30"`) || strings.Contains(got, `user="user31"`) {
		t.Errorf("what is beyond is not added up: %s is missing", rest)
	}
	if len(d.Pairs) != 1001 {
		t.Error("the snapshot is changed")
	}
}
