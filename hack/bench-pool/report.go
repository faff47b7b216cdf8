package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// report gathers what the loads gave: by load, figure and entrant, one value a round.
type report struct {
	loads  []load
	values [][][][]float64
	began  time.Time
	busy   string // the load average then
}

func newReport(chosen *regexp.Regexp) *report {
	r := &report{began: time.Now(), busy: loadAverage()}
	for _, l := range loads {
		if !chosen.MatchString(l.name) {
			continue
		}
		r.loads = append(r.loads, l)
		figures := make([][][]float64, len(l.figures))
		for f := range figures {
			figures[f] = make([][]float64, len(entrants))
		}
		r.values = append(r.values, figures)
	}
	return r
}

// round runs each load on each entrant once. Who begins changes from round to round.
func (r *report) round(n int) {
	for i, l := range r.loads {
		for k := range entrants {
			who := (k + n) % len(entrants)
			values := l.run(entrants[who])
			fmt.Fprintf(os.Stderr, "  %-12s %-14s %.2f\n", l.name, entrants[who].name, values)
			for f, v := range values {
				r.values[i][f][who] = append(r.values[i][f][who], v)
			}
		}
	}
}

// print writes the table as Markdown.
func (r *report) print(w io.Writer, rounds int) {
	fmt.Fprintf(w, "%s, %s, %s/%s, %d CPUs with a load average of %s before and %s after; medians of %d rounds in %.0f s\n\n",
		r.began.UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0),
		r.busy, loadAverage(), rounds, time.Since(r.began).Seconds())
	fmt.Fprint(w, "| load | figure |")
	for _, e := range entrants {
		fmt.Fprintf(w, " %s |", strings.TrimSpace(e.name+" "+version(e.module)))
	}
	fmt.Fprint(w, " weir / best peer | target | | target as a ratio | |\n|---|---|", strings.Repeat("---:|", len(entrants)), "---:|---:|---|---:|---|\n")
	for i, l := range r.loads {
		for f, fig := range l.figures {
			fmt.Fprintf(w, "| %s | %s |%s\n", l.name, fig.name, row(fig, r.values[i][f]))
		}
	}
}

// row is what follows the name of a figure: medians, ratio, targets and whether they are met.
func row(fig figure, values [][]float64) string {
	var b strings.Builder
	medians := make([]float64, len(values))
	for who := range values {
		medians[who] = median(values[who])
		fmt.Fprintf(&b, " %s |", number(medians[who]))
	}
	ours, best := medians[0], fig.best(medians[1:])
	ratio := "–"
	if best > 0 {
		ratio = fmt.Sprintf("%.2f", ours/best)
	}
	fmt.Fprintf(&b, " %s | %s | %s |", ratio, fig.limit(fig.target, fig.bound), fig.verdict(ours, fig.target, fig.bound))
	relative := fig.peer > 0 && best > 0
	goal := 0.0
	if relative {
		goal = fig.target / fig.peer
	}
	fmt.Fprintf(&b, " %s | %s |", fig.limit(goal, relative), fig.verdict(ours, goal*best, relative))
	return b.String()
}

// best is the best of the peers' values.
func (f figure) best(values []float64) float64 {
	best := values[0]
	for _, v := range values[1:] {
		if f.more == (v > best) {
			best = v
		}
	}
	return best
}

// limit names a target, if there is one.
func (f figure) limit(target float64, bound bool) string {
	switch {
	case !bound:
		return "–"
	case f.more:
		return "≥ " + number(target)
	}
	return "≤ " + number(target)
}

// verdict says whether a target is met, if there is one. It goes by the values before they are rounded.
func (f figure) verdict(value, target float64, bound bool) string {
	switch {
	case !bound:
		return "–"
	case f.more && value >= target, !f.more && value <= target:
		return "met"
	}
	return "**not met**"
}

// number shows three significant digits, and whole numbers above 100.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	s := fmt.Sprintf("%.2f", v)
	return strings.TrimSuffix(strings.TrimSuffix(s, "0"), ".0")
}

// version of a module this program was built with; ours, and the standard library's, go without.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module && m.Replace == nil {
			return m.Version
		}
	}
	return ""
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
