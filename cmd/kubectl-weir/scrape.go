package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	scrapeTimeout = 5 * time.Second
	maxScrape     = 16 << 20 // bytes
)

// scraper reads the metrics of one pod, and remembers what was counted before.
type scraper struct {
	url    string
	http   http.Client
	before map[string]counts
	at     time.Time
}

func newScraper(url string) *scraper {
	return &scraper{url: url, http: http.Client{Timeout: scrapeTimeout}}
}

// counts are what rises.
type counts struct {
	transactions float64
	waits        map[float64]uint64 // by upper bound in seconds, cumulative
	waited       uint64
}

// usage is what a pod allows and uses of a destination.
type usage struct {
	destination string
	gauges      map[string]float64 // by name of the metric, without prefix
	open, lent  float64
	now, before counts
	elapsed     time.Duration // since before; 0: there is no before
}

// scrape returns the destinations, by name.
func (s *scraper) scrape(ctx context.Context) ([]*usage, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the pod answered %s", response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, maxScrape))
	if err != nil {
		return nil, fmt.Errorf("read the pod's metrics: %w", err)
	}
	now := time.Now()
	found := gather(families)
	before := map[string]counts{}
	for name, u := range found {
		if was, ok := s.before[name]; ok {
			u.before, u.elapsed = was, now.Sub(s.at)
		}
		before[name] = u.now
	}
	s.before, s.at = before, now
	return slices.SortedFunc(maps.Values(found), func(a, b *usage) int { return cmp.Compare(a.destination, b.destination) }), nil
}

// gather sorts metrics by destination.
func gather(families map[string]*dto.MetricFamily) map[string]*usage {
	found := map[string]*usage{}
	each := func(name string, visit func(*usage, *dto.Metric)) {
		for _, m := range families["weir_pool_"+name].GetMetric() {
			d := label(m, "destination")
			if found[d] == nil {
				found[d] = &usage{destination: d, gauges: map[string]float64{}}
			}
			visit(found[d], m)
		}
	}
	for _, name := range []string{"limit", "waiting", "clients", "pinned"} {
		each(name, func(u *usage, m *dto.Metric) { u.gauges[name] = m.GetGauge().GetValue() })
	}
	each("connections", func(u *usage, m *dto.Metric) {
		n := m.GetGauge().GetValue()
		u.open += n
		if label(m, "state") == "lent" {
			u.lent = n
		}
	})
	each("transactions_total", func(u *usage, m *dto.Metric) { u.now.transactions = m.GetCounter().GetValue() })
	each("acquire_wait_seconds", func(u *usage, m *dto.Metric) {
		u.now.waits, u.now.waited = map[float64]uint64{}, m.GetHistogram().GetSampleCount()
		for _, b := range m.GetHistogram().GetBucket() {
			u.now.waits[b.GetUpperBound()] = b.GetCumulativeCount()
		}
	})
	return found
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (u *usage) row(pod string) []string {
	n := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	tps := "-"
	if u.elapsed > 0 {
		tps = n(max(0, u.now.transactions-u.before.transactions) / u.elapsed.Seconds())
	}
	return []string{
		u.destination, pod, n(u.gauges["limit"]), n(u.open), n(u.lent), n(u.gauges["waiting"]), n(u.gauges["clients"]), n(u.gauges["pinned"]),
		u.waitP95(), tps,
	}
}

// waitP95 is the upper bound of the bucket that 95 of 100 waits since before were in or below.
func (u *usage) waitP95() string {
	waits := int64(u.now.waited - u.before.waited)
	if u.elapsed == 0 || waits <= 0 {
		return "-"
	}
	for _, bound := range slices.Sorted(maps.Keys(u.now.waits)) {
		if int64(u.now.waits[bound]-u.before.waits[bound])*100 >= waits*95 {
			return "<=" + time.Duration(bound*float64(time.Second)).String()
		}
	}
	return "more"
}

// byDestination sorts rows by destination and pod.
func byDestination(rows [][]string) [][]string {
	slices.SortStableFunc(rows, func(a, b []string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return rows
}
