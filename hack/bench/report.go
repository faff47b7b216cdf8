package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// report gathers what the loads gave.
type report struct {
	settings
	began  time.Time
	busy   string                 // the load average then
	loads  []load                 // chosen
	values [][]map[program]values // by load and round
	failed []string
}

func newReport(s settings) *report {
	r := &report{settings: s, began: time.Now(), busy: loadAverage()}
	for _, l := range loads {
		if s.chosen.MatchString(l.name) {
			r.loads = append(r.loads, l)
		}
	}
	r.values = make([][]map[program]values, len(r.loads))
	return r
}

// run measures, and prints the table. An error says what could not be measured.
func (r *report) run(g *ground) error {
	for round := range r.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, r.rounds)
		for i, l := range r.loads {
			r.values[i] = append(r.values[i], r.turn(g, l, round))
		}
	}
	r.print(os.Stdout)
	if len(r.failed) > 0 {
		return fmt.Errorf("not all was measured:\n%s", strings.Join(r.failed, "\n"))
	}
	return nil
}

// turn runs a load on each program once. Who begins changes from round to round.
func (r *report) turn(g *ground, l load, round int) map[program]values {
	all := make(map[program]values)
	for k := range programs {
		p := programs[(k+round)%len(programs)]
		if p == direct && !l.direct {
			continue
		}
		v, err := r.once(g, l, p)
		if err != nil {
			r.failed = append(r.failed, fmt.Sprintf("%s, %s: %v", l.name, p, err))
			continue
		}
		fmt.Fprintf(os.Stderr, "  %-36s %-10s %.4v\n", l.name, p, v)
		all[p] = v
	}
	return all
}

func (r *report) once(g *ground, l load, p program) (values, error) {
	processes := 1
	if l.twice {
		processes = 2
	}
	if strings.HasPrefix(l.name, "alone") { // the load starts it, when its server is there
		return l.run(g, &subject{program: p}, r.seconds.Seconds())
	}
	s, err := g.start(p, g.port, processes, "")
	if err != nil {
		return nil, err
	}
	defer s.stop()
	return l.run(g, s, r.seconds.Seconds())
}

// print writes the table as Markdown.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s, commit %s, %s, %d CPUs with a load average of %s before and %s after; medians of %d rounds, %.0f s in all\n\n",
		r.began.UTC().Format(time.DateOnly), r.commit, runtime.Version(), runtime.NumCPU(), r.busy, loadAverage(), r.rounds, time.Since(r.began).Seconds())
	fmt.Fprintln(w, "| load | figure | Weir | PgBouncer | PostgreSQL | Weir / PgBouncer | must | | should | |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---:|---:|---|---:|---|")
	for i, l := range r.loads {
		for _, row := range l.rows {
			fmt.Fprintln(w, r.line(l.name, row, r.values[i]))
		}
	}
}

// line is one row of the table.
func (r *report) line(name string, row row, rounds []map[program]values) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |", name, strings.TrimSuffix(row.figure+", "+row.unit, ", "))
	medians := make(map[program]float64)
	for _, p := range programs {
		var all []float64
		for _, round := range rounds {
			if v, ok := round[p][row.figure]; ok {
				all = append(all, v)
			}
		}
		medians[p] = median(all)
		fmt.Fprintf(&b, " %s |", number(medians[p]))
	}
	ratio := median(ratios(row.figure, rounds))
	fmt.Fprintf(&b, " %s |", number(ratio))
	value := medians[weir]
	if row.ratio {
		value = ratio
	}
	fmt.Fprintf(&b, " %s | %s |", row.verdict(value, row.must), row.verdict(value, row.ambitious))
	return b.String()
}

// ratios of Weir to PgBouncer, one of each round that both have finished.
func ratios(figure string, rounds []map[program]values) (all []float64) {
	for _, round := range rounds {
		ours, theirs := round[weir][figure], round[pgbouncer][figure]
		if ours > 0 && theirs > 0 {
			all = append(all, ours/theirs)
		}
	}
	return all
}

// verdict names a target, and how far the value is from it: above 0 % it is missed.
func (row row) verdict(value, target float64) string {
	switch {
	case target == 0 || value == 0:
		return "– | –"
	case row.more:
		return fmt.Sprintf("≥ %s | %s", number(target), distance(target/value))
	}
	return fmt.Sprintf("≤ %s | %s", number(target), distance(value/target))
}

func distance(part float64) string {
	if part <= 1 {
		return fmt.Sprintf("met (%+.0f %%)", 100*(part-1))
	}
	return fmt.Sprintf("**missed by %.0f %%**", 100*(part-1))
}

// number shows three significant digits, and whole numbers above 100.
func number(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// loadAverage is the machine's over the last minute: above the number of CPUs others keep it busy.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
