package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
)

func main() {
	flags := flag.NewFlagSet("bench-pool", flag.ExitOnError)
	rounds := flags.Int("rounds", 7, "how often each pool runs each load; the table shows medians")
	only := flags.String("run", "", "run only loads whose name matches this regular expression")
	_ = flags.Parse(os.Args[1:])
	chosen, err := regexp.Compile(*only)
	if err != nil || *rounds < 1 || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench-pool: -rounds takes a number above 0, -run a regular expression")
		os.Exit(2)
	}
	r := newReport(chosen)
	for round := range *rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, *rounds)
		r.round(round)
	}
	r.print(os.Stdout, *rounds)
}
