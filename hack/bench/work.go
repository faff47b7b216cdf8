package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	pgbenchRate  = regexp.MustCompile(`tps = ([0-9.]+) `)
	pgbenchCount = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	perfCount    = regexp.MustCompile(`(?m)^(\d+),`)
)

// pgbench reads one row by its key in each transaction.
func pgbench(protocol string, clients int) func(*ground, *subject, float64) (values, error) {
	return func(g *ground, s *subject, seconds float64) (values, error) {
		// pgbench's clients log in one after the other, and its time runs meanwhile.
		beginning := 1500*time.Millisecond + time.Duration(clients)*10*time.Millisecond
		window := time.Duration(seconds * float64(time.Second))
		run, err := g.startPgbench(s, protocol, clients, int((beginning+window).Seconds()+1))
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(run.logs)
		time.Sleep(beginning)
		pids, before, began := s.pids(), use(s.pids()), time.Now()
		time.Sleep(window)
		used, measured := use(pids).since(before), time.Since(began).Seconds()
		rate, _, err := run.wait()
		if err != nil {
			return nil, err
		}
		v := values{tps: rate, p99: run.p99()}
		if len(pids) > 0 {
			v[cpu] = microseconds(used.total) / (rate * measured)
			v[userCPU] = microseconds(used.user) / (rate * measured)
		}
		return v, nil
	}
}

// pgbenchRun is a pgbench under way.
type pgbenchRun struct {
	cmd  *exec.Cmd
	said bytes.Buffer
	logs string // folder
}

func (g *ground) startPgbench(s *subject, protocol string, clients, seconds int) (*pgbenchRun, error) {
	logs, err := os.MkdirTemp(g.dir, "log")
	if err != nil {
		return nil, err
	}
	r := &pgbenchRun{logs: logs}
	r.cmd = exec.Command(filepath.Join(g.bin, "pgbench"), "-n", "-S", "-M", protocol, "-c", strconv.Itoa(clients),
		"-T", strconv.Itoa(seconds), "-l", "--log-prefix", filepath.Join(logs, "log"), "--sampling-rate", "0.1")
	r.cmd.Env = g.environment(s.port, "disable")
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	return r, r.cmd.Start()
}

// wait returns transactions a second, and how many they were.
func (r *pgbenchRun) wait() (rate, count float64, err error) {
	err = r.cmd.Wait()
	rates, counts := pgbenchRate.FindSubmatch(r.said.Bytes()), pgbenchCount.FindSubmatch(r.said.Bytes())
	if err == nil && (rates == nil || counts == nil) {
		err = errors.New("it tells no rate")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("pgbench: %w\n%s", err, r.said.Bytes())
	}
	rate, _ = strconv.ParseFloat(string(rates[1]), 64)
	count, _ = strconv.ParseFloat(string(counts[1]), 64)
	return rate, count, nil
}

// p99 of the transactions that were logged, in milliseconds.
func (r *pgbenchRun) p99() float64 {
	var all []float64
	files, _ := filepath.Glob(filepath.Join(r.logs, "*"))
	for _, name := range files {
		text, _ := os.ReadFile(name)
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			if words := strings.Fields(lines.Text()); len(words) > 2 {
				took, _ := strconv.ParseFloat(words[2], 64)
				all = append(all, took/1000)
			}
		}
	}
	slices.Sort(all)
	return quantile(all, 0.99)
}

// systemCalls counts them while pgbench runs.
func systemCalls(clients int) func(*ground, *subject, float64) (values, error) {
	return func(g *ground, s *subject, seconds float64) (values, error) {
		pids := make([]string, 0, 1)
		for _, pid := range s.pids() {
			pids = append(pids, strconv.Itoa(pid))
		}
		perf := exec.Command("perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", strings.Join(pids, ","))
		var said bytes.Buffer
		perf.Stderr = &said
		if err := perf.Start(); err != nil {
			return nil, err
		}
		run, err := g.startPgbench(s, "simple", clients, int(seconds))
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(run.logs)
		_, count, err := run.wait()
		_ = perf.Process.Signal(syscall.SIGINT)
		_ = perf.Wait() // it ends with the signal
		total := perfCount.FindSubmatch(said.Bytes())
		if err == nil && total == nil {
			err = fmt.Errorf("perf: %s", said.Bytes())
		}
		if err != nil {
			return nil, err
		}
		n, _ := strconv.ParseFloat(string(total[1]), 64)
		return values{calls: n / count}, nil
	}
}

// idle connects clients that do nothing after one query, and looks at what they cost.
func idle(clients int, secure bool) func(*ground, *subject, float64) (values, error) {
	return func(_ *ground, s *subject, seconds float64) (values, error) {
		warm, err := dial(s.address(), secure)
		if err != nil {
			return nil, err
		}
		defer warm.Close()
		if _, err := warm.query("SELECT 1"); err != nil {
			return nil, err
		}
		before := resident(s.pids())
		all := make([]*connection, clients)
		defer func() {
			for _, c := range all {
				if c != nil {
					c.Close()
				}
			}
		}()
		err = parallel(clients, 16, func(i int) (err error) {
			if all[i], err = dial(s.address(), secure); err == nil {
				_, err = all[i].query("SELECT 1")
				all[i].buf = nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		time.Sleep(2 * time.Second) // what was allocated for the logins is given back
		began := use(s.pids())
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		used := use(s.pids()).since(began)
		return values{
			memory: (resident(s.pids()) - before) / float64(clients),
			cpu:    used.total.Seconds() / seconds * 100,
		}, nil
	}
}

// parallel calls do for 0 to n-1 with so many workers, and returns an error of one.
func parallel(n, workers int, do func(int) error) error {
	var (
		next    atomic.Int64
		running sync.WaitGroup
		errs    = make([]error, workers)
	)
	for w := range workers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// large reads results of 100 MB with four clients, a gigabyte in all.
func large(secure bool) func(*ground, *subject, float64) (values, error) {
	return func(_ *ground, s *subject, _ float64) (values, error) {
		var received atomic.Int64
		before := use(s.pids())
		err := parallel(4, 4, func(int) error {
			c, err := dial(s.address(), secure)
			if err != nil {
				return err
			}
			defer c.Close()
			c.buf = make([]byte, 256<<10)
			for received.Load() < 1e9 {
				n, err := c.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
				if err != nil {
					return err
				}
				received.Add(int64(n))
			}
			return nil
		})
		if s.program == direct {
			return values{}, err
		}
		used := use(s.pids()).since(before)
		return values{cpu: used.total.Seconds() / (float64(received.Load()) / 1e9)}, err
	}
}

// churn is eight clients that connect, send one query and leave, again and again.
func churn(secure bool) func(*ground, *subject, float64) (values, error) {
	return func(_ *ground, s *subject, seconds float64) (values, error) {
		var served atomic.Int64
		began := time.Now()
		until := began.Add(time.Duration(seconds * float64(time.Second)))
		err := parallel(8, 8, func(int) error {
			for time.Now().Before(until) {
				c, err := dial(s.address(), secure)
				if err != nil {
					return err
				}
				_, err = c.query("SELECT 1")
				c.Close()
				if err != nil {
					return err
				}
				served.Add(1)
			}
			return nil
		})
		return values{tps: float64(served.Load()) / time.Since(began).Seconds()}, err
	}
}
