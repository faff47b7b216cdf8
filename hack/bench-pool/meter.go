package main

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"syscall"
	"time"
)

// meter measures what the process uses from start on.
type meter struct {
	cpu     time.Duration
	mallocs uint64
}

// startMeter collects garbage first, so that nobody pays for what the one before left.
func startMeter() meter {
	runtime.GC()
	return meter{cpuTime(), mallocs()}
}

// per is the CPU time in nanoseconds, and the allocations, of each of n operations since start.
func (m meter) per(n int) (cpu, allocations float64) {
	cpu = float64(cpuTime()-m.cpu) / float64(n)
	return cpu, float64(mallocs()-m.mallocs) / float64(n)
}

// cpuTime is the CPU time of all threads of this process, in user and system mode.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// parked is how many goroutines wait for something.
func parked() int {
	waiting := []metrics.Sample{{Name: "/sched/goroutines/waiting:goroutines"}}
	metrics.Read(waiting)
	return int(waiting[0].Value.Uint64())
}

// quantile is the value below which a part q of all lie, in milliseconds; 0 if there are none.
func quantile(all []time.Duration, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return milliseconds(all[min(len(all)-1, int(q*float64(len(all))))])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median of values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
