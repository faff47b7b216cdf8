package metrics

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/podapi"
)

// maxScrapes bounds how many scrapes are answered at once.
const maxScrapes = 4

// Handler answers scrapes with what snapshot returns, and with the numbers of the process. Version is the software's.
func Handler(version string, snapshot func() agent.Snapshot) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		Collector(version, snapshot),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// Collector is what Handler serves, without the numbers of the process.
func Collector(version string, snapshot func() agent.Snapshot) prometheus.Collector {
	return &collector{version: version, snapshot: snapshot}
}

type collector struct {
	version  string
	snapshot func() agent.Snapshot
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("weir_pool_"+name, help, labels, nil)
}

// Of the pod.
var (
	buildInfo  = desc("build_info", "Always 1; the labels say what runs.", "version", "goversion")
	ledger     = desc("config_ledger", "Ledger of the last configuration accepted from the operator; 0: none yet.")
	generation = desc("config_generation", "Generation of the ConnectionPool whose configuration runs; 0: none yet.")
	ready      = desc("ready", "1 when the pod should get clients.")
	draining   = desc("draining", "1 when the pod leaves.")
	problems   = desc("problems", "What a person has to mend, by reason and destination; no destination: the whole pool.", "destination", "reason")
)

// gauges and counters of a destination. With a label they have a value for each of a fixed set.
type number struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*agent.Stats) float64
}

func gauge(name, help string, read func(*agent.Stats) int32) number {
	return number{desc(name, help, "destination"), prometheus.GaugeValue, func(s *agent.Stats) float64 { return float64(read(s)) }}
}

func counter(name, help string, read func(*agent.Counters) uint64) number {
	return number{desc(name, help, "destination"), prometheus.CounterValue, func(s *agent.Stats) float64 { return float64(read(&s.Counters)) }}
}

var (
	connections = desc("connections", "Server connections by state; the sum is what the database sees of this pod.", "destination", "state")
	pins        = desc("pins_total", "Clients in transaction mode that were given a server connection to keep, by reason.", "destination", "reason")
	timeouts    = desc("timeouts_total", "What took too long and was ended, by timeout.", "destination", "timeout")
	reachable   = desc("server_reachable", "1 when the server took the last connection attempt, 0 when it did not; absent: not tried yet.", "destination")
	wait        = desc("acquire_wait_seconds", "How long clients waited for a server connection, served or not.", "destination")
)

var numbers = []number{
	gauge("limit", "Server connections that this pod may have open.", func(s *agent.Stats) int32 { return s.Limit }),
	gauge("waiting", "Clients that wait for a server connection.", func(s *agent.Stats) int32 { return s.Waiting }),
	gauge("clients", "Clients connected, logins included.", func(s *agent.Stats) int32 { return s.Clients }),
	gauge("pinned", "Clients in transaction mode that keep their server connection.", func(s *agent.Stats) int32 { return s.Pinned }),
	gauge("users_at_limit", "Users that have all the connections one user may have, while clients of theirs wait.", func(s *agent.Stats) int32 { return s.UsersAtLimit }),

	counter("logins_total", "Clients let in.", func(c *agent.Counters) uint64 { return c.Logins }),
	counter("login_failures_total", "Clients refused at login.", func(c *agent.Counters) uint64 { return c.LoginsFailed }),
	counter("clients_refused_total", "Clients refused because there were too many.", func(c *agent.Counters) uint64 { return c.ClientsRefused }),
	counter("queries_total", "Queries passed on.", func(c *agent.Counters) uint64 { return c.Queries }),
	counter("transactions_total", "Transactions that ended.", func(c *agent.Counters) uint64 { return c.Transactions }),
	counter("parses_total", "Parse messages of clients.", func(c *agent.Counters) uint64 { return c.Parses }),
	counter("server_parses_total", "Parse messages to the server; those of clients that it knew already are not among them.", func(c *agent.Counters) uint64 { return c.ServerParses }),
	counter("binds_total", "Bind messages of clients.", func(c *agent.Counters) uint64 { return c.Binds }),
	counter("received_bytes_total", "Bytes from clients passed on to the server.", func(c *agent.Counters) uint64 { return c.BytesReceived }),
	counter("sent_bytes_total", "Bytes from the server passed on to clients.", func(c *agent.Counters) uint64 { return c.BytesSent }),
	counter("acquires_total", "Server connections lent.", func(c *agent.Counters) uint64 { return c.Acquired }),
	counter("acquire_timeouts_total", "Clients that waited for a server connection in vain.", func(c *agent.Counters) uint64 { return c.AcquireTimeouts }),
	counter("acquire_refusals_total", "Clients refused because too many were waiting.", func(c *agent.Counters) uint64 { return c.QueueFull }),
	counter("dials_total", "Server connections opened.", func(c *agent.Counters) uint64 { return c.Dialed }),
	counter("dial_failures_total", "Server connections that could not be opened.", func(c *agent.Counters) uint64 { return c.DialsFailed }),
	counter("servers_vanished_total", "Server connections given up because their machine did not answer.", func(c *agent.Counters) uint64 { return c.ServersVanished }),
	counter("endpoint_switches_total", "Server connections opened at another endpoint than the one before.", func(c *agent.Counters) uint64 { return c.Switches }),
	counter("servers_lost_total", "Server connections that died while they were lent.", func(c *agent.Counters) uint64 { return c.ServersLost }),
	counter("cancels_total", "Cancel requests that named a client.", func(c *agent.Counters) uint64 { return c.Cancels }),
	counter("cancels_unknown_total", "Cancel requests that named no client.", func(c *agent.Counters) uint64 { return c.CancelsUnknown }),
	counter("cancels_forwarded_total", "Cancel requests that named a client of another pod, and were passed on to it.", func(c *agent.Counters) uint64 { return c.CancelsForwarded }),
	counter("stalled_bytes_total", "Bytes taken from the server and kept while their client did not read.", func(c *agent.Counters) uint64 { return c.StalledBytes }),
	counter("lookups_total", "Users that the database was asked about.", func(c *agent.Counters) uint64 { return c.Lookups }),
	counter("lookups_failed_total", "Users that the database could not be asked about.", func(c *agent.Counters) uint64 { return c.LookupsFailed }),
	counter("cancels_failed_total", "Cancel requests that could not be brought to the server.", func(c *agent.Counters) uint64 { return c.CancelsFailed }),
	counter("panics_total", "Sessions and logins ended by an internal error of the pooler; the others went on.", func(c *agent.Counters) uint64 { return c.Panics }),
	counter("statements_refused_total", "Statements refused because transaction mode cannot keep them.", func(c *agent.Counters) uint64 { return c.StatementsRefused }),
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, ledger, generation, ready, draining, problems, connections, pins, timeouts, reachable, wait,
		pinned, pinAge, consoles, pairWait, pairDial, pairQuery, pairTransaction} {
		out <- d
	}
	for _, n := range numbers {
		out <- n.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	send(buildInfo, prometheus.GaugeValue, 1, c.version, runtime.Version())
	send(ledger, prometheus.GaugeValue, float64(s.Ledger))
	send(generation, prometheus.GaugeValue, float64(s.Generation))
	send(ready, prometheus.GaugeValue, oneIf(s.Ready))
	send(draining, prometheus.GaugeValue, oneIf(s.Draining))
	for labels, n := range countProblems(s.Problems) {
		send(problems, prometheus.GaugeValue, float64(n), labels[0], labels[1])
	}
	for i := range s.Destinations {
		name, stats := s.Destinations[i].Name, &s.Destinations[i].Stats
		for _, n := range numbers {
			send(n.desc, n.kind, n.read(stats), name)
		}
		for state, n := range map[string]int32{
			"idle": stats.Idle, "lent": stats.Lent, "dialing": stats.Dialing, "resetting": stats.Resetting, "closing": stats.Closing,
		} {
			send(connections, prometheus.GaugeValue, float64(n), name, state)
		}
		for timeout, n := range stats.Counters.Timeouts {
			send(timeouts, prometheus.CounterValue, float64(n), name, timeout)
		}
		for reason, n := range stats.Counters.Pins {
			send(pins, prometheus.CounterValue, float64(n), name, reason)
		}
		if stats.Reachable == "True" || stats.Reachable == "False" {
			send(reachable, prometheus.GaugeValue, oneIf(stats.Reachable == "True"), name)
		}
		if len(stats.Wait.Counts) > 0 {
			out <- histogram(wait, agent.Histogram{Histogram: stats.Wait, Sum: stats.WaitSum}, every, name)
		}
		c.collectDetail(out, name, &s.Destinations[i].Detail)
	}
}

func countProblems(all []podapi.Problem) map[[2]string]int {
	counts := map[[2]string]int{}
	for _, p := range all {
		counts[[2]string{p.Destination, p.Reason}]++
	}
	return counts
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
