package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what the operator's process has taken since it began.
type usage struct {
	at     time.Time
	cpu    time.Duration
	memory int64 // resident, bytes, the most there was
	writes float64
}

// ticks are the kernel's, per second.
const ticks = 100

func (o *operator) usage() (usage, error) {
	u := usage{at: time.Now()}
	directory := fmt.Sprintf("/proc/%d/", o.command.Process.Pid)
	stat, err := os.ReadFile(directory + "stat")
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(n) * time.Second / ticks
	}
	status, err := os.ReadFile(directory + "status")
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
}

func (u usage) since(before usage) spent {
	if u.cpu < before.cpu { // another process
		before.cpu, before.writes = 0, 0
	}
	span := u.at.Sub(before.at)
	return spent{span, (u.cpu - before.cpu).Seconds() / span.Seconds(), u.memory, (u.writes - before.writes) / span.Seconds()}
}

func (s spent) String() string {
	return fmt.Sprintf("%4.0f s: %.2f cores, %d MiB, %.1f API writes/s", s.span.Seconds(), s.cores, s.memory>>20, s.writes)
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
