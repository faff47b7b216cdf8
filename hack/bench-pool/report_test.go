package main

import (
	"slices"
	"testing"
	"time"
)

func TestRowsCompareTheMedianWithTheBestPeerAndTheTargets(t *testing.T) {
	for _, c := range []struct {
		name   string
		figure figure
		values [][]float64
		want   string
	}{
		{"less is better and both targets are met", atMost("ns", 60, 100),
			[][]float64{{50, 900, 40}, {120}, {100}}, " 50 | 120 | 100 | 0.50 | ≤ 60 | met | ≤ 0.6 | met |"},
		{"a target is met but not as a ratio, where the best peer did better than it used to", atMost("ns", 60, 100),
			[][]float64{{50}, {120}, {70}}, " 50 | 120 | 70 | 0.71 | ≤ 60 | met | ≤ 0.6 | **not met** |"},
		{"more is better", atLeast("served", 90, 100),
			[][]float64{{80}, {40}, {85}}, " 80 | 40 | 85 | 0.94 | ≥ 90 | **not met** | ≥ 0.9 | met |"},
		{"no ratio where the best peer has zero", atMost("allocations", 0, 0),
			[][]float64{{0}, {1}, {0}}, " 0 | 1 | 0 | – | ≤ 0 | met | – | – |"},
		{"no target", shown("ms"),
			[][]float64{{12.34}, {24.68}, {30}}, " 12.3 | 24.7 | 30 | 0.50 | – | – | – | – |"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := row(c.figure, c.values); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestQuantileAndMedian(t *testing.T) {
	var waits []time.Duration
	for i := range 100 {
		waits = append(waits, time.Duration(100-i)*time.Millisecond)
	}
	if got := quantile(slices.Clone(waits), 0.99); got != 100 {
		t.Errorf("99 of 100 values are below 100, and quantile says %v", got)
	}
	if got := quantile(waits, 1); got != 100 {
		t.Errorf("the longest is 100, and quantile says %v", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("the median of 1 to 4 is 2.5, not %v", got)
	}
}
