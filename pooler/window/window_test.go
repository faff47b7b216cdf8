package window

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"pgregory.net/rapid"
)

var start = time.Unix(1_700_000_000, 0)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

func waits(counts ...int64) podapi.Histogram {
	return podapi.Histogram{BoundsMicroseconds: []int64{100, 1000}, Counts: counts}
}

func TestPeaksAreTheHighestSampleOfTheLastMinute(t *testing.T) {
	w := New(start)
	w.Record(at(0), Sample{Lent: 9, Waiting: 4})
	w.Record(at(30), Sample{Lent: 3, Waiting: 7})
	if s := w.Summary(at(59.9)); s.PeakLent != 9 || s.PeakWaiting != 7 {
		t.Fatalf("within the minute: %+v", s)
	}
	if s := w.Summary(at(60)); s.PeakLent != 3 || s.PeakWaiting != 7 {
		t.Fatalf("after the first sample left: %+v", s)
	}
	if s := w.Summary(at(90)); s.PeakLent != 0 || s.PeakWaiting != 0 {
		t.Fatalf("after all samples left: %+v", s)
	}
}

func TestCountersCountFromTheFirstSample(t *testing.T) {
	w := New(start)
	w.Record(at(0), Sample{Timeouts: 100, Wait: waits(10, 10, 10)})
	if s := w.Summary(at(0)); s.Timeouts != 0 || sum(s.Wait.Counts) != 0 {
		t.Fatalf("the first sample is the zero: %+v", s)
	}
	w.Record(at(1), Sample{Timeouts: 103, Wait: waits(11, 12, 13)})
	w.Record(at(1.5), Sample{Timeouts: 104, Wait: waits(11, 12, 14)})
	s := w.Summary(at(2))
	if s.Timeouts != 4 || s.Wait.Counts[0] != 1 || s.Wait.Counts[1] != 2 || s.Wait.Counts[2] != 4 {
		t.Fatalf("after two more: %+v", s)
	}
	if s := w.Summary(at(61)); s.Timeouts != 0 || sum(s.Wait.Counts) != 0 {
		t.Fatalf("a minute later: %+v", s)
	}
}

func TestACounterThatFallsBeganAnew(t *testing.T) {
	w := New(start)
	w.Record(at(0), Sample{Timeouts: 50})
	w.Record(at(1), Sample{Timeouts: 2})
	if s := w.Summary(at(1)); s.Timeouts != 2 {
		t.Fatalf("timeouts %d, want 2", s.Timeouts)
	}
}

func TestASampleFromThePastIsCountedNow(t *testing.T) {
	w := New(start)
	w.Record(at(10), Sample{})
	w.Record(at(3), Sample{Lent: 5, Timeouts: 1})
	if s := w.Summary(at(10)); s.PeakLent != 5 || s.Timeouts != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestOtherBoundsStartTheHistogramAgain(t *testing.T) {
	w := New(start)
	w.Record(at(0), Sample{Wait: waits(1, 1, 1)})
	w.Record(at(1), Sample{Wait: waits(2, 2, 2)})
	w.Record(at(2), Sample{Wait: podapi.Histogram{BoundsMicroseconds: []int64{5}, Counts: []int64{7, 7}}})
	s := w.Summary(at(2))
	if len(s.Wait.Counts) != len(s.Wait.BoundsMicroseconds)+1 {
		t.Fatalf("one count more than bounds is the rule: %+v", s.Wait)
	}
}

func TestTheWindowIsTheSumOverTheSamplesInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := New(start)
		now, timeouts := 0, int64(0)
		type step struct {
			second int
			lent   int32
			added  int64
		}
		steps := []step{{}}
		w.Record(at(0), Sample{})
		for range rapid.IntRange(1, 40).Draw(t, "samples") {
			now += rapid.IntRange(0, 20).Draw(t, "later")
			s := step{now, rapid.Int32Range(0, 9).Draw(t, "lent"), rapid.Int64Range(0, 5).Draw(t, "timeouts")}
			timeouts += s.added
			steps = append(steps, s)
			w.Record(at(float64(now)), Sample{Lent: s.lent, Timeouts: timeouts})
		}
		now += rapid.IntRange(0, 70).Draw(t, "read later")
		var want Summary
		for _, s := range steps {
			if s.second > now-Seconds {
				want.PeakLent = max(want.PeakLent, s.lent)
				want.Timeouts += s.added
			}
		}
		if got := w.Summary(at(float64(now))); got.PeakLent != want.PeakLent || got.Timeouts != want.Timeouts {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func sum(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}
