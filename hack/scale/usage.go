package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// usage is what the operator's process has taken since it began, and what was taken beside it.
type usage struct {
	at     time.Time
	cpu    time.Duration
	memory int64 // resident, bytes, the most there was
	writes float64

	pods    time.Duration // CPU of this process
	machine time.Duration // CPU of everything on this machine
}

// ticks are the kernel's, per second.
const ticks = 100

// cpuOf adds up fields of a line of the kernel's that count ticks.
func cpuOf(fields []string) (sum time.Duration, err error) {
	for _, field := range fields {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * time.Second / ticks
	}
	return sum, nil
}

// cpuOfProcess is what a process took.
func cpuOfProcess(pid string) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return cpuOf(fields[11:13]) // utime, stime
}

// cpuOfMachine is what all processes took.
func cpuOfMachine() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	return cpuOf(strings.Fields(line)[1:4]) // user, nice, system
}

func (o *operator) usage() (u usage, err error) {
	u.at = time.Now()
	pid := strconv.Itoa(o.command.Process.Pid)
	if u.cpu, err = cpuOfProcess(pid); err != nil {
		return u, err
	}
	if u.pods, err = cpuOfProcess("self"); err != nil {
		return u, err
	}
	if u.machine, err = cpuOfMachine(); err != nil {
		return u, err
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return u, err
			}
			u.memory = kilobytes << 10
		}
	}
	u.writes, err = o.writes()
	return u, err
}

// spent is usage over a span.
type spent struct {
	span   time.Duration
	cores  float64
	memory int64
	writes float64 // a second

	pods, machine float64 // cores
}

func (u usage) since(before usage) spent {
	if u.cpu < before.cpu { // another process
		before.cpu, before.writes = 0, 0
	}
	span := u.at.Sub(before.at)
	cores := func(from, to time.Duration) float64 { return (to - from).Seconds() / span.Seconds() }
	return spent{
		span, cores(before.cpu, u.cpu), u.memory, (u.writes - before.writes) / span.Seconds(),
		cores(before.pods, u.pods), cores(before.machine, u.machine),
	}
}

func (s spent) String() string {
	return fmt.Sprintf("%4.0f s: %.2f cores, %d MiB, %.1f API writes/s; beside it: pods' side %.2f cores, all else %.2f of %d",
		s.span.Seconds(), s.cores, s.memory>>20, s.writes, s.pods, s.machine-s.pods-s.cores, runtime.NumCPU())
}

// over says what of it is above the budget.
func (s spent) over() error {
	var over []error
	if s.cores > maxCores {
		over = append(over, fmt.Errorf("%.2f cores, more than %.0f", s.cores, maxCores))
	}
	if s.memory > maxMemory {
		over = append(over, fmt.Errorf("%d MiB, more than %d", s.memory>>20, maxMemory>>20))
	}
	if s.writes > maxWrites {
		over = append(over, fmt.Errorf("%.1f API writes/s, more than %.0f", s.writes, maxWrites))
	}
	return errors.Join(over...)
}
