package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/control"
	"github.com/weir-dev/weir/pooler/health"
	"github.com/weir-dev/weir/pooler/process"
	"github.com/weir-dev/weir/pooler/secrets"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is set by the linker; without it the build information says what this is.
var version string

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "config" {
		return configure(args[1:], stdout, stderr)
	}
	opts, showVersion, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "pooler:", err)
		return exitUsage
	case showVersion:
		fmt.Fprintln(stdout, "pooler", opts.Version)
		return 0
	}
	if err := process.Run(opts, onSignals()); err != nil {
		fmt.Fprintln(stderr, "pooler:", err)
		return exitFailed
	}
	return 0
}

const help = `pooler serves the clients of one ConnectionPool, or with a file of its own what that file says:

  pooler --config FILE                 run without an operator: as long as neither --pod-uid nor $POD_UID is set
  pooler config check FILE             say what is wrong with such a file
  pooler config from-pgbouncer FILE    make one out of a pgbouncer.ini

`

// parse reads the flags.
func parse(args []string, stderr io.Writer) (opts process.Options, showVersion bool, err error) {
	var level slog.Level
	flags := flag.NewFlagSet("pooler", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told in one line
	flags.StringVar(&opts.ConfigPath, "config", config.DefaultPath, "the mounted configuration; without an operator the file to obey")
	flags.StringVar(&opts.SecretsDir, "secrets-dir", secrets.DefaultDirectory, "where Secrets are mounted, each in a directory of its name")
	flags.StringVar(&opts.StateDir, "state-dir", agent.DefaultStateDir, "where the last accepted configuration is kept; it must outlive the container")
	flags.StringVar(&opts.ControlAddr, "control-addr", control.DefaultAddress, "where the operator is answered")
	flags.StringVar(&opts.HealthAddr, "health-addr", health.DefaultAddress, "where health and metrics are answered; without an operator the file's")
	flags.StringVar(&opts.ListenHost, "listen-host", "", "the address at which clients are served; none: all, without an operator the file's")
	flags.StringVar(&opts.PodUID, "pod-uid", os.Getenv("POD_UID"), "UID of this pod; default: $POD_UID")
	flags.DurationVar(&opts.DrainLag, "drain-lag", process.DefaultDrainLag, "how long clients are still accepted after SIGTERM, with an operator")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "the least level that is logged: DEBUG, INFO, WARN or ERROR")
	flags.BoolVar(&showVersion, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, help)
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return opts, false, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	opts.Version = softwareVersion()
	logging := &slog.HandlerOptions{Level: level}
	opts.Logger = slog.New(slog.NewJSONHandler(stderr, logging))
	switch {
	case showVersion:
		return opts, true, nil
	case flags.NArg() > 0:
		return opts, false, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.PodUID == "" && !given["config"]:
		return opts, false, errors.New("there is nothing to obey: set --config to a file, or in a pod --pod-uid or $POD_UID to its UID")
	case opts.DrainLag < 0:
		return opts, false, errors.New("--drain-lag must not be negative")
	case opts.PodUID == "":
		opts.Standalone = opts.ConfigPath
		opts.Logger = slog.New(slog.NewTextHandler(stderr, logging)) // a person reads it
		if !given["health-addr"] {
			opts.HealthAddr = ""
		}
	}
	return opts, false, nil
}

// onSignals returns what signals say: the first SIGTERM or SIGINT to leave, the second to hasten, SIGHUP to reload.
func onSignals() process.Signals {
	leave, hasten, reload := make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	signals, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		<-signals
		close(leave)
		<-signals
		close(hasten)
	}()
	go func() {
		for range hangups {
			reload <- struct{}{}
		}
	}()
	return process.Signals{Leave: leave, Hasten: hasten, Reload: reload}
}

func softwareVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
