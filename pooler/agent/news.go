package agent

import (
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// shortFor is for how long a destination counts as short after it last was: news that came and went with each transaction
// would be none.
const shortFor = 2 * time.Second

// wantedFor is how many samples Wanted looks back.
const wantedFor = 2

// News is State.News, for who asks often: a look at the engines, no more.
func (a *Agent) News() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.news(time.Now())
}

// news names what the operator should look at. It is called with mu held.
func (a *Agent) news(now time.Time) string {
	if a.core.Draining() {
		for _, d := range a.reported() {
			if stats := a.stats(d); max(stats.Limit, stats.Open) > 0 {
				return "leaving"
			}
		}
		return "gone"
	}
	var short []string
	for _, d := range a.destinations {
		if d.isShort(a.stats(d), now) {
			short = append(short, d.name)
		}
	}
	if len(short) == 0 {
		return ""
	}
	return "short: " + strings.Join(short, " ")
}

// isShort says whether clients wait, or just waited, although all that the share allows is open.
func (d *destination) isShort(stats Stats, now time.Time) bool {
	held := stats.StopPolicy != "" && stats.StopPolicy != podapi.StopPolicyNone
	if stats.Waiting > 0 && stats.Open >= stats.Limit && !held {
		d.short = now
	}
	return !d.short.IsZero() && now.Sub(d.short) < shortFor
}

// wants is the most connections that clients wanted at one time lately.
func (d *destination) wants(stats Stats) int32 {
	most := max(stats.Lent, stats.PeakLent) + max(stats.Waiting, stats.PeakWaiting)
	for _, wanted := range d.wanted {
		most = max(most, wanted)
	}
	return most
}

// sampled notes what was wanted in the span of peaks that ends.
func (d *destination) sampled(stats Stats) {
	copy(d.wanted[1:], d.wanted[:])
	d.wanted[0] = stats.PeakLent + stats.PeakWaiting
}
