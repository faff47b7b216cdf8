package readiness

import (
	"testing"

	"github.com/weir-dev/weir/pooler/podapi"
)

func histogram(counts ...int64) podapi.Histogram {
	return podapi.Histogram{BoundsMicroseconds: []int64{100, 1000, 10_000}, Counts: counts}
}

func TestQuantile(t *testing.T) {
	tests := map[string]struct {
		histogram podapi.Histogram
		want      int64
		ok        bool
	}{
		"nobody waited":                           {histogram(0, 0, 0, 0), 0, false},
		"no histogram":                            {podapi.Histogram{}, 0, false},
		"one client":                              {histogram(1, 0, 0, 0), 100, true},
		"95 of 100 in the first bucket":           {histogram(95, 5, 0, 0), 100, true},
		"94 of 100 in the first bucket":           {histogram(94, 6, 0, 0), 1000, true},
		"what is above all counts as the highest": {histogram(0, 0, 0, 9), 10_000, true},
		"one that makes no sense":                 {podapi.Histogram{BoundsMicroseconds: []int64{1}, Counts: []int64{1}}, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got, ok := quantile(test.histogram, 0.95); got != test.want || ok != test.ok {
				t.Errorf("it is %d, %t", got, ok)
			}
		})
	}
}

func TestHistogramsMergeByAddingCounts(t *testing.T) {
	one := histogram(1, 2, 3, 4)
	sum := merge(merge(podapi.Histogram{}, one), histogram(10, 20, 30, 40))
	for i, want := range []int64{11, 22, 33, 44} {
		if sum.Counts[i] != want {
			t.Errorf("bucket %d holds %d, not %d", i, sum.Counts[i], want)
		}
	}
	if one.Counts[0] != 1 {
		t.Error("merging changed what a pod said")
	}
}

func TestHistogramsOfOtherBoundsAreLeftOut(t *testing.T) {
	other := podapi.Histogram{BoundsMicroseconds: []int64{7}, Counts: []int64{5, 5}}
	if got := merge(histogram(1, 0, 0, 0), other); len(got.Counts) != 4 || got.Counts[0] != 1 {
		t.Errorf("merged it is %+v", got)
	}
}
