package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage is CPU time that processes have used since they began.
type usage struct {
	total, user time.Duration
}

// use sums up what processes have used.
func use(pids []int) (u usage) {
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, thread := range threads {
			u.total += time.Duration(field(thread+"/schedstat", 0))
		}
		// utime and stime are the 14th and 15th field, in hundredths of a second; the first two are the process's ID and name
		stat := fmt.Sprintf("/proc/%d/stat", pid)
		u.user += time.Duration(field(stat, 13)) * 10 * time.Millisecond
	}
	return u
}

func (u usage) since(before usage) usage { return usage{u.total - before.total, u.user - before.user} }

// field is the number at a place of a line of words; 0 if there is none.
func field(path string, n int) int64 {
	text, _ := os.ReadFile(path)
	words := strings.Fields(string(text))
	if n >= len(words) {
		return 0
	}
	number, _ := strconv.ParseInt(words[n], 10, 64)
	return number
}

// resident is the memory that processes have in RAM, in kB.
func resident(pids []int) (kB float64) {
	for _, pid := range pids {
		kB += float64(field(fmt.Sprintf("/proc/%d/statm", pid), 1)) * float64(os.Getpagesize()) / 1024
	}
	return kB
}

// quantile is the value below which a part q of sorted values lies; 0 if there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// median of values, which it sorts; 0 if there are none.
func median(all []float64) float64 {
	n := len(all)
	if n == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
