package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-dev/weir/pooler/agent"
)

const (
	// maxPairs bounds the databases and users that are told apart, for each destination. What comes later is told as other.
	maxPairs = 32
	other    = "other"

	every = 1 // all bounds of a histogram
	thin  = 2 // every second: there is one histogram for each pair
)

var (
	pinned   = desc("pinned_clients", "Clients in transaction mode that keep their server connection now, by reason.", "destination", "reason")
	pinAge   = desc("pinned_oldest_seconds", "For how long the oldest of them has kept it.", "destination", "reason")
	consoles = desc("console_clients", "Clients at the console.", "destination")

	pairWait        = desc("client_wait_seconds", "How long transactions waited for a server connection, served or not; at once is 0.", "destination", "database", "user")
	pairDial        = desc("dial_seconds", "How long it took to open a server connection.", "destination", "database", "user")
	pairQuery       = desc("query_seconds", "How long the server took for what it was sent at once; of one transaction in 16, which counts for 16.", "destination", "database", "user")
	pairTransaction = desc("transaction_seconds", "How long transactions took, the client's time in them included; of one in 16, which counts for 16.", "destination", "database", "user")
)

// collectDetail sends what is known of a destination beside its sums.
func (c *collector) collectDetail(out chan<- prometheus.Metric, destination string, d *agent.Detail) {
	out <- prometheus.MustNewConstMetric(consoles, prometheus.GaugeValue, float64(d.Consoles), destination)
	for reason, p := range d.Pins {
		out <- prometheus.MustNewConstMetric(pinned, prometheus.GaugeValue, float64(p.Clients), destination, reason)
		out <- prometheus.MustNewConstMetric(pinAge, prometheus.GaugeValue, p.Oldest.Seconds(), destination, reason)
	}
	for _, p := range bounded(d.Pairs) {
		for _, h := range []struct {
			desc *prometheus.Desc
			of   agent.Histogram
		}{{pairWait, p.Wait}, {pairDial, p.Dial}, {pairQuery, p.Query}, {pairTransaction, p.Transaction}} {
			out <- histogram(h.desc, h.of, thin, destination, p.Database, p.User)
		}
	}
}

// bounded tells the first pairs apart and adds up all others.
func bounded(all []agent.Pair) []agent.Pair {
	if len(all) <= maxPairs {
		return all
	}
	rest := agent.Pair{Database: other, User: other}
	for _, p := range all[maxPairs:] {
		rest.Wait = add(rest.Wait, p.Wait)
		rest.Dial = add(rest.Dial, p.Dial)
		rest.Query = add(rest.Query, p.Query)
		rest.Transaction = add(rest.Transaction, p.Transaction)
	}
	return append(all[:maxPairs:maxPairs], rest)
}

// add adds up two histograms of the same bounds; the first may be empty.
func add(a, b agent.Histogram) agent.Histogram {
	sum := agent.Histogram{Sum: a.Sum + b.Sum}
	sum.BoundsMicroseconds = b.BoundsMicroseconds
	sum.Counts = make([]int64, len(b.Counts))
	copy(sum.Counts, a.Counts)
	for i, n := range b.Counts {
		sum.Counts[i] += n
	}
	return sum
}

// histogram is what was measured as Prometheus counts it: each bucket includes those below it. Of the bounds every so many
// are told.
func histogram(d *prometheus.Desc, h agent.Histogram, step int, labels ...string) prometheus.Metric {
	buckets, total := map[float64]uint64{}, uint64(0)
	for i, n := range h.Counts {
		total += uint64(n)
		if i < len(h.BoundsMicroseconds) && i%step == step-1 {
			buckets[float64(h.BoundsMicroseconds[i])/1e6] = total
		}
	}
	return prometheus.MustNewConstHistogram(d, total, h.Sum, buckets, labels...)
}
