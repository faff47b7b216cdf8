package window

import (
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Seconds is the span of a Window.
const Seconds = 60

// Sample is what an engine says about one destination at one moment.
type Sample struct {
	Lent     int32
	Waiting  int32
	Timeouts int64            // since the engine started
	Wait     podapi.Histogram // since the engine started
}

// Summary is what happened in the last Seconds.
type Summary struct {
	PeakLent    int32
	PeakWaiting int32
	Timeouts    int64
	Wait        podapi.Histogram
}

// Window is the memory of one destination. It is not safe for concurrent use.
type Window struct {
	start time.Time
	now   int64 // seconds since start of the newest sample
	last  Sample
	begun bool
	slots [Seconds]slot
}

type slot struct {
	second      int64
	peakLent    int32
	peakWaiting int32
	timeouts    int64
	waits       []int64
}

// New makes a Window that begins at start.
func New(start time.Time) *Window { return &Window{start: start} }

// Record adds a sample taken at a moment.
func (w *Window) Record(at time.Time, s Sample) {
	slot := w.slot(at)
	slot.peakLent = max(slot.peakLent, s.Lent)
	slot.peakWaiting = max(slot.peakWaiting, s.Waiting)
	if w.begun && slices.Equal(w.last.Wait.BoundsMicroseconds, s.Wait.BoundsMicroseconds) {
		slot.timeouts += risen(w.last.Timeouts, s.Timeouts)
		slot.addWaits(w.last.Wait.Counts, s.Wait.Counts)
	}
	s.Wait.BoundsMicroseconds = slices.Clone(s.Wait.BoundsMicroseconds)
	s.Wait.Counts = slices.Clone(s.Wait.Counts)
	w.last, w.begun = s, true
}

// Summary tells what happened in the Seconds before a moment, the second that is not over included.
func (w *Window) Summary(at time.Time) Summary {
	w.slot(at)
	bounds := w.last.Wait.BoundsMicroseconds
	sum := Summary{Wait: podapi.Histogram{BoundsMicroseconds: slices.Clone(bounds)}}
	if len(bounds) > 0 {
		sum.Wait.Counts = make([]int64, len(bounds)+1)
	}
	for i := range w.slots {
		s := &w.slots[i]
		if s.second <= w.now-Seconds {
			continue
		}
		sum.PeakLent = max(sum.PeakLent, s.peakLent)
		sum.PeakWaiting = max(sum.PeakWaiting, s.peakWaiting)
		sum.Timeouts += s.timeouts
		for j, n := range s.waits[:min(len(s.waits), len(sum.Wait.Counts))] {
			sum.Wait.Counts[j] += n
		}
	}
	return sum
}

// slot returns the slot of a moment, emptied when it still holds an older second.
func (w *Window) slot(at time.Time) *slot {
	w.now = max(w.now, int64(at.Sub(w.start)/time.Second))
	s := &w.slots[w.now%Seconds]
	if s.second != w.now {
		clear(s.waits)
		*s = slot{second: w.now, waits: s.waits}
	}
	return s
}

func (s *slot) addWaits(before, after []int64) {
	if len(s.waits) != len(after) {
		s.waits = make([]int64, len(after))
	}
	for i, n := range after {
		if i < len(before) {
			s.waits[i] += risen(before[i], n)
		}
	}
}

// risen is how far a counter rose; one that fell began anew.
func risen(before, after int64) int64 {
	if after < before {
		return after
	}
	return after - before
}
