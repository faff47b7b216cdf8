package controllers

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Pace bounds how many writes a second go to the API server. Writes that can wait (of pools that come, and of a status in which
// only numbers changed) leave a quarter of a second's writes to those that somebody waits for, and only a few of them are under
// way: an API server that has much to do answers the others all the same.
type Pace struct {
	each time.Duration // from one write to the next

	mu  sync.Mutex
	due time.Time // of the next write, if none were ahead

	hurried, patient lane
}

// lane lets some writes wait for their time at once, the others behind them in order.
type lane struct {
	turn    chan struct{}
	holds   bool // a write has its turn until it is done, and not only until it begins
	waiting atomic.Int64
}

const (
	ahead    = time.Second     // how far writes may be ahead of the pace
	spare    = time.Second / 4 // how much of it patient writes leave
	underWay = 4               // patient writes at once
)

// NewPace allows that many writes a second, and as many at once after a second without any.
func NewPace(perSecond int) *Pace {
	return &Pace{
		each:    time.Second / time.Duration(perSecond),
		hurried: lane{turn: make(chan struct{}, 1)}, patient: lane{turn: make(chan struct{}, underWay), holds: true},
	}
}

type patientKey struct{}

// patient makes writes that can wait of those with this context.
func patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

// Wrap is for rest.Config.Wrap: it keeps the pace of what goes through.
func (p *Pace) Wrap(next http.RoundTripper) http.RoundTripper { return paced{p, next} }

type paced struct {
	pace *Pace
	next http.RoundTripper
}

func (t paced) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet {
		return t.next.RoundTrip(request)
	}
	done, err := t.pace.wait(request.Context())
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	defer done()
	return t.next.RoundTrip(request)
}

// wait returns when a write may go, or with the error of the context. Done is to be called after the write.
func (p *Pace) wait(ctx context.Context) (done func(), err error) {
	lane, most := &p.hurried, ahead
	if ctx.Value(patientKey{}) != nil {
		lane, most = &p.patient, ahead-spare
	}
	lane.waiting.Add(1)
	defer lane.waiting.Add(-1)
	select {
	case lane.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release := func() { <-lane.turn }
	for pause := p.take(most); pause > 0; pause = p.take(most) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		}
	}
	if lane.holds {
		return release, nil
	}
	release()
	return func() {}, nil
}

// take lets a write go that is ahead by no more than most. Otherwise it says after which pause to try again.
func (p *Pace) take(most time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	due := p.due
	if due.Before(now) {
		due = now
	}
	due = due.Add(p.each)
	if pause := due.Sub(now) - most; pause > 0 {
		return pause
	}
	p.due = due
	return 0
}

var paceDesc = prometheus.NewDesc("weir_operator_api_writes_waiting", "Writes to the API server that wait for their turn, by whether somebody waits for them.", []string{"hurry"}, nil)

// Describe makes the Pace a prometheus.Collector.
func (p *Pace) Describe(out chan<- *prometheus.Desc) { out <- paceDesc }

// Collect makes the Pace a prometheus.Collector.
func (p *Pace) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(paceDesc, prometheus.GaugeValue, float64(p.hurried.waiting.Load()), "yes")
	out <- prometheus.MustNewConstMetric(paceDesc, prometheus.GaugeValue, float64(p.patient.waiting.Load()), "no")
}
