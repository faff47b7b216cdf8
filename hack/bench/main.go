package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rounds  int
	seconds time.Duration
	chosen  *regexp.Regexp
	commit  string
}

func main() {
	raiseFileLimit()
	if len(os.Args) > 2 { // started by itself
		switch os.Args[1] {
		case "load":
			fail(loadMain(os.Args[2:]))
			return
		case "weir":
			fail(weirMain(os.Args[2:]))
			return
		}
	}
	s := parse()
	g, err := newGround()
	if err == nil {
		err = newReport(s).run(g)
		g.close()
	}
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (s settings) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.IntVar(&s.rounds, "rounds", 5, "how often each program runs each load; the table shows medians")
	flags.DurationVar(&s.seconds, "time", 5*time.Second, "how long a load of transactions runs")
	flags.StringVar(&s.commit, "commit", "unknown", "what the table says was measured")
	only := flags.String("run", "", "run only loads whose name matches this regular expression")
	_ = flags.Parse(os.Args[1:])
	chosen, err := regexp.Compile(*only)
	if err != nil || s.rounds < 1 || s.seconds < 3*time.Second || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: -rounds takes a number above 0, -time at least 3s, -run a regular expression")
		os.Exit(2)
	}
	s.chosen = chosen
	return s
}

// raiseFileLimit lets this process, and those it starts, have as many files open as they may.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // what is too much for the limit fails and says so
	}
}
