package pods

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// clientMetrics say how talking to pods goes, over all pools.
type clientMetrics struct {
	calls   *prometheus.CounterVec
	seconds prometheus.Histogram
	news    prometheus.Counter
}

func newMetrics() clientMetrics {
	return clientMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_operator_pod_calls_total",
			Help: "Calls to the control ports of pods by outcome: answered, refused (the pod did not accept the configuration) or failed.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_operator_pod_call_seconds",
			Help:    "How long calls to the control ports of pods took, the wait for a free call not included.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2},
		}),
		news: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_operator_pod_news_total",
			Help: "How often a pod had something to say at once: clients short of connections, or that it leaves.",
		}),
	}
}

var (
	inFlightDesc = prometheus.NewDesc("weir_operator_pod_calls_in_flight", "Calls to the control ports of pods now.", nil, nil)
	boundDesc    = prometheus.NewDesc("weir_operator_pod_calls_in_flight_limit", "The most calls to the control ports of pods at any one time.", nil, nil)
	knownDesc    = prometheus.NewDesc("weir_operator_pods", "Pods of all pools that the operator knows by whether they answered when last asked.", []string{"answers"}, nil)
)

func (m clientMetrics) count(err error) {
	var refusal *Refusal
	switch {
	case err == nil:
		m.calls.WithLabelValues("answered").Inc()
	case errors.As(err, &refusal):
		m.calls.WithLabelValues("refused").Inc()
	default:
		m.calls.WithLabelValues("failed").Inc()
	}
}

// Describe makes the Client a prometheus.Collector.
func (c *Client) Describe(out chan<- *prometheus.Desc) {
	c.metrics.calls.Describe(out)
	c.metrics.seconds.Describe(out)
	c.metrics.news.Describe(out)
	out <- inFlightDesc
	out <- boundDesc
	out <- knownDesc
}

// Collect makes the Client a prometheus.Collector.
func (c *Client) Collect(out chan<- prometheus.Metric) {
	c.metrics.calls.Collect(out)
	c.metrics.seconds.Collect(out)
	c.metrics.news.Collect(out)
	answering, silent := c.countPods()
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(inFlightDesc, len(c.inFlight))
	gauge(boundDesc, cap(c.inFlight))
	gauge(knownDesc, answering, "yes")
	gauge(knownDesc, silent, "no")
}

func (c *Client) countPods() (answering, silent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.pods {
		if known.last != nil && known.pause == 0 {
			answering++
		} else {
			silent++
		}
	}
	return answering, silent
}
