package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/weir-dev/weir/pooler/pgbouncer"
	"github.com/weir-dev/weir/pooler/standalone"
)

const configHelp = `usage:
  pooler config check FILE
  pooler config from-pgbouncer [--connection-pool NAME] FILE
`

// configure carries out pooler config.
func configure(args []string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) == 2 && args[0] == "check":
		if err = check(args[1], stdout); err != nil {
			fmt.Fprintln(stderr, err) // with the file's name
			return exitFailed
		}
		return 0
	case len(args) > 0 && args[0] == "from-pgbouncer":
		err = fromPgBouncer(args[1:], stdout, stderr)
	default:
		err = errUsage
	}
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, configHelp)
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "pooler:", err)
		return exitFailed
	}
	return 0
}

var errUsage = errors.New("wrong usage")

// check says what is wrong with a file.
func check(path string, stdout io.Writer) error {
	file, err := standalone.Read(path)
	if err != nil {
		return err
	}
	for _, d := range file.Destinations {
		fmt.Fprintf(stdout, "%s: destination %s on port %d: at most %d connections to %s:%d\n",
			path, d.Name, d.ListenPort, *d.Limits.MaxOpen, d.Endpoints[0].Host, d.Endpoints[0].Port)
	}
	fmt.Fprintf(stdout, "%s: ok\n", path)
	return nil
}

// fromPgBouncer prints what a pgbouncer.ini is for Weir, and on stderr what has no match.
func fromPgBouncer(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("from-pgbouncer", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	pool := flags.String("connection-pool", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return errUsage
	}
	ini, err := pgbouncer.Load(flags.Arg(0))
	if err != nil {
		return err
	}
	translation := pgbouncer.Translate(ini)
	for _, note := range translation.Notes {
		fmt.Fprintln(stderr, note)
	}
	if *pool != "" {
		return translation.WriteConnectionPool(stdout, *pool)
	}
	return translation.WriteFile(stdout)
}
