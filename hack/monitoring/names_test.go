package monitoring

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/weir-dev/weir/controllers/pods"
	"github.com/weir-dev/weir/pooler/metrics"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("../../config/samples/monitoring/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// exported are the metrics that pods and operator have, with their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	description := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	for _, collector := range []prometheus.Collector{metrics.Collector("", nil), pods.New(pods.Options{})} {
		descriptions := make(chan *prometheus.Desc, 1000)
		collector.Describe(descriptions)
		close(descriptions)
		for d := range descriptions {
			parts := description.FindStringSubmatch(d.String())
			found[parts[1]] = strings.Split(parts[2], ",")
		}
	}
	return found
}

// expressions are those of the alerts and of the dashboard.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range alerts(t) {
		all["alert "+r.Alert] = r.Expr
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+": "+target.Expr] = strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		}
	}
	return all
}

// The labels that scraping adds.
var added = []string{"namespace", "pool", "pod", "le"}

func TestAlertsAndDashboardNameMetricsAndLabelsThatExist(t *testing.T) {
	exist := exported(t)
	all := expressions(t)
	if len(all) < 20 {
		t.Fatalf("only %d expressions", len(all))
	}
	for where, expr := range all {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			of, ok := exist[strings.TrimSuffix(selector.Name, "_bucket")]
			if !ok {
				t.Errorf("%s: there is no metric %s", where, selector.Name)
			}
			for _, m := range selector.LabelMatchers {
				if m.Name != labels.MetricName && !contains(of, m.Name) && !contains(added, m.Name) {
					t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
				}
			}
			return nil
		})
	}
}

func contains(all []string, name string) bool {
	for _, one := range all {
		if strings.TrimSpace(one) == name {
			return true
		}
	}
	return false
}
