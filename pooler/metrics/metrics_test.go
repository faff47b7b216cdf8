package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/podapi"
)

func scrape(t *testing.T, s agent.Snapshot) string {
	t.Helper()
	server := httptest.NewServer(Handler("v1.2.3", func() agent.Snapshot { return s }))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", response.StatusCode, body, err)
	}
	return string(body)
}

func TestAScrapeSaysWhatThePodDoes(t *testing.T) {
	got := scrape(t, agent.Snapshot{
		Generation: 4, Ledger: 9, Ready: true,
		Problems: []podapi.Problem{
			{Destination: "main", Reason: podapi.ReasonSecretMissing, Message: "one"},
			{Destination: "main", Reason: podapi.ReasonSecretMissing, Message: "two"},
		},
		Destinations: []agent.DestinationStats{{Name: "main", Stats: agent.Stats{
			Limit: 10, Open: 6, Idle: 2, Lent: 3, Dialing: 1, Waiting: 5, Clients: 70, Reachable: "True",
			Counters: agent.Counters{Queries: 12, AcquireTimeouts: 3, LoginsFailed: 8, Cancels: 2, Pins: map[string]uint64{"Listen": 1, "Set": 0}},
			Wait:     podapi.Histogram{BoundsMicroseconds: []int64{1000, 1000000}, Counts: []int64{4, 2, 1}}, WaitSum: 3.5,
		}}},
	})
	for _, line := range []string{
		`weir_pool_config_ledger 9`,
		`weir_pool_config_generation 4`,
		`weir_pool_ready 1`,
		`weir_pool_draining 0`,
		`weir_pool_problems{destination="main",reason="SecretMissing"} 2`,
		`weir_pool_limit{destination="main"} 10`,
		`weir_pool_waiting{destination="main"} 5`,
		`weir_pool_clients{destination="main"} 70`,
		`weir_pool_connections{destination="main",state="idle"} 2`,
		`weir_pool_connections{destination="main",state="lent"} 3`,
		`weir_pool_connections{destination="main",state="dialing"} 1`,
		`weir_pool_connections{destination="main",state="resetting"} 0`,
		`weir_pool_queries_total{destination="main"} 12`,
		`weir_pool_acquire_timeouts_total{destination="main"} 3`,
		`weir_pool_login_failures_total{destination="main"} 8`,
		`weir_pool_cancels_total{destination="main"} 2`,
		`weir_pool_pins_total{destination="main",reason="Listen"} 1`,
		`weir_pool_server_reachable{destination="main"} 1`,
		`weir_pool_acquire_wait_seconds_bucket{destination="main",le="0.001"} 4`,
		`weir_pool_acquire_wait_seconds_bucket{destination="main",le="1"} 6`,
		`weir_pool_acquire_wait_seconds_bucket{destination="main",le="+Inf"} 7`,
		`weir_pool_acquire_wait_seconds_sum{destination="main"} 3.5`,
		`weir_pool_acquire_wait_seconds_count{destination="main"} 7`,
	} {
		if !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	for _, part := range []string{`weir_pool_build_info{goversion="go`, `version="v1.2.3"} 1`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(got, part) {
			t.Errorf("missing: %s", part)
		}
	}
}

func TestBeforeItKnowsAnythingAPodCanBeScraped(t *testing.T) {
	got := scrape(t, agent.Snapshot{Destinations: []agent.DestinationStats{{Name: "main", Stats: agent.Stats{Reachable: "Unknown"}}}})
	if !strings.Contains(got, "\nweir_pool_config_ledger 0\n") {
		t.Error("no ledger")
	}
	if strings.Contains(got, "weir_pool_server_reachable{") || strings.Contains(got, "weir_pool_problems{") {
		t.Error("what is not known must be absent")
	}
}

func TestEveryMetricHasAHelpText(t *testing.T) {
	got := scrape(t, agent.Snapshot{Destinations: []agent.DestinationStats{{Name: "main"}}})
	for line := range strings.Lines(got) {
		name, isType := strings.CutPrefix(line, "# TYPE weir_pool_")
		if !isType {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if !strings.Contains(got, "# HELP weir_pool_"+name+" ") {
			t.Errorf("weir_pool_%s has no help text", name)
		}
	}
}
