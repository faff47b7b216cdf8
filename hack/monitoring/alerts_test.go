package monitoring

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
	"sigs.k8s.io/yaml"
)

// rule is an alert of a PrometheusRule.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) []rule {
	t.Helper()
	var object struct {
		Spec struct {
			Groups []struct{ Rules []rule }
		}
	}
	if err := yaml.UnmarshalStrict(read(t, "alerts.yaml"), &struct {
		APIVersion, Kind string
		Metadata         map[string]string
		Spec             any
	}{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(read(t, "alerts.yaml"), &object); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range object.Spec.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// Each alert with series in which it is to be raised, and series in which it is not, after 30 minutes.
var cases = map[string]struct{ raised, silent string }{
	"WeirNoPodReady": {
		`weir_pool_ready{namespace="n",pool="p",pod="a"} 0x30`,
		`weir_pool_ready{namespace="n",pool="p",pod="a"} 0x30
		 weir_pool_ready{namespace="n",pool="p",pod="b"} 1x30`,
	},
	"WeirDatabaseUnreachable": {
		`weir_pool_server_reachable{namespace="n",pool="p",destination="d",pod="a"} 0x30`,
		`weir_pool_server_reachable{namespace="n",pool="p",destination="d",pod="a"} 0x30
		 weir_pool_server_reachable{namespace="n",pool="p",destination="d",pod="b"} 1x30`,
	},
	"WeirClientsWaitInVain": {
		`weir_pool_acquire_timeouts_total{namespace="n",pool="p",destination="d",pod="a"} 0+1x30`,
		`weir_pool_acquire_timeouts_total{namespace="n",pool="p",destination="d",pod="a"} 7x30`,
	},
	"WeirClientsRefused": {
		`weir_pool_clients_refused_total{namespace="n",pool="p",destination="d",pod="a"} 0x30
		 weir_pool_acquire_refusals_total{namespace="n",pool="p",destination="d",pod="a"} 0+1x30`,
		`weir_pool_clients_refused_total{namespace="n",pool="p",destination="d",pod="a"} 3x30
		 weir_pool_acquire_refusals_total{namespace="n",pool="p",destination="d",pod="a"} 3x30`,
	},
	"WeirSaturated": {
		`weir_pool_waiting{namespace="n",pool="p",destination="d",pod="a"} 2x30
		 weir_pool_connections{namespace="n",pool="p",destination="d",pod="a",state="lent"} 10x30
		 weir_pool_limit{namespace="n",pool="p",destination="d",pod="a"} 10x30`,
		`weir_pool_waiting{namespace="n",pool="p",destination="d",pod="a"} 2x30
		 weir_pool_connections{namespace="n",pool="p",destination="d",pod="a",state="lent"} 5x30
		 weir_pool_limit{namespace="n",pool="p",destination="d",pod="a"} 10x30`,
	},
	"WeirMostlyPinned": {
		`weir_pool_pinned{namespace="n",pool="p",destination="d",pod="a"} 6x30
		 weir_pool_limit{namespace="n",pool="p",destination="d",pod="a"} 10x30`,
		`weir_pool_pinned{namespace="n",pool="p",destination="d",pod="a"} 5x30
		 weir_pool_limit{namespace="n",pool="p",destination="d",pod="a"} 10x30`,
	},
	"WeirServerConnectionsFail": {
		`weir_pool_dial_failures_total{namespace="n",pool="p",destination="d",pod="a"} 0+1x30
		 weir_pool_dials_total{namespace="n",pool="p",destination="d",pod="a"} 0+5x30`,
		`weir_pool_dial_failures_total{namespace="n",pool="p",destination="d",pod="a"} 0+1x30
		 weir_pool_dials_total{namespace="n",pool="p",destination="d",pod="a"} 0+50x30`,
	},
	"WeirLoginsFail": {
		`weir_pool_login_failures_total{namespace="n",pool="p",destination="d",pod="a"} 0+120x30`,
		`weir_pool_login_failures_total{namespace="n",pool="p",destination="d",pod="a"} 0+30x30`,
	},
	"WeirInternalError": {
		`weir_pool_panics_total{namespace="n",pool="p",destination="d",pod="a"} 0x20 1x10`,
		`weir_pool_panics_total{namespace="n",pool="p",destination="d",pod="a"} 3x30`,
	},
	"WeirPodProblem": {
		`weir_pool_problems{namespace="n",pool="p",destination="d",reason="SecretMissing",pod="a"} 1x30`,
		`weir_pool_ready{namespace="n",pool="p",pod="a"} 1x30`,
	},
	"WeirConfigLags": {
		`weir_pool_config_ledger{namespace="n",pool="p",pod="a"} 7x30
		 weir_pool_config_ledger{namespace="n",pool="p",pod="b"} 8x30`,
		`weir_pool_config_ledger{namespace="n",pool="p",pod="a"} 8x30
		 weir_pool_config_ledger{namespace="n",pool="p",pod="b"} 8x30`,
	},
	"WeirOperatorAway": {
		`weir_pool_ready{namespace="n",pool="p",pod="a"} 1x30`,
		`weir_operator_pod_calls_in_flight_limit 64x30`,
	},
	"WeirPodsSilent": {
		`weir_operator_pods{answers="no"} 1x30`,
		`weir_operator_pods{answers="no"} 0x30
		 weir_operator_pods{answers="yes"} 9x30`,
	},
}

func TestEachAlertIsRaisedWhenItShouldBeAndOnlyThen(t *testing.T) {
	rules := alerts(t)
	if len(rules) != len(cases) {
		t.Errorf("%d alerts, %d of them with cases", len(rules), len(cases))
	}
	for _, r := range rules {
		t.Run(r.Alert, func(t *testing.T) {
			c, ok := cases[r.Alert]
			if !ok {
				t.Fatal("this alert has no case")
			}
			if n := matches(t, r.Expr, c.raised); n != 1 {
				t.Errorf("trouble: raised %d times", n)
			}
			if n := matches(t, r.Expr, c.silent); n != 0 {
				t.Errorf("no trouble: raised %d times", n)
			}
		})
	}
}

// matches is how many series an expression has after 30 minutes.
func matches(t *testing.T, expr, series string) int {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+indent(series))
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	query, err := engine.NewInstantQuery(context.Background(), storage, nil, expr, time.Unix(0, 0).Add(30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		t.Fatal(err)
	}
	return len(vector)
}

func indent(series string) string {
	var lines []string
	for line := range strings.Lines(series) {
		lines = append(lines, "  "+strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestEachAlertSaysWhatItMeansAndWhatToDo(t *testing.T) {
	runbook, err := os.ReadFile("../../docs/monitor.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range alerts(t) {
		names = append(names, r.Alert)
		if r.Annotations["summary"] == "" || r.For == "" || !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) {
			t.Errorf("%s needs a summary, a duration and a severity", r.Alert)
		}
		for _, used := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"], -1) {
			if !strings.Contains(r.Expr, used[1]) {
				t.Errorf("%s: its summary has a label %s that its expression does not keep", r.Alert, used[1])
			}
		}
		if !strings.Contains(string(runbook), fmt.Sprintf("| `%s` |", r.Alert)) {
			t.Errorf("docs/monitor.md does not say what to do about %s", r.Alert)
		}
	}
	for _, named := range regexp.MustCompile("(?m)^\\| `(Weir\\w+)` \\|").FindAllStringSubmatch(string(runbook), -1) {
		if !slices.Contains(names, named[1]) {
			t.Errorf("docs/monitor.md explains %s, which is no alert", named[1])
		}
	}
}
