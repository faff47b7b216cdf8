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
	leave, hasten := onSignals()
	if err := process.Run(opts, leave, hasten); err != nil {
		fmt.Fprintln(stderr, "pooler:", err)
		return exitFailed
	}
	return 0
}

// parse reads the flags.
func parse(args []string, stderr io.Writer) (opts process.Options, showVersion bool, err error) {
	var level slog.Level
	flags := flag.NewFlagSet("pooler", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told in one line
	flags.StringVar(&opts.ConfigPath, "config", config.DefaultPath, "the mounted configuration")
	flags.StringVar(&opts.SecretsDir, "secrets-dir", secrets.DefaultDirectory, "where Secrets are mounted, each in a directory of its name")
	flags.StringVar(&opts.StateDir, "state-dir", agent.DefaultStateDir, "where the last accepted configuration is kept; it must outlive the container")
	flags.StringVar(&opts.ControlAddr, "control-addr", control.DefaultAddress, "where the operator is answered")
	flags.StringVar(&opts.HealthAddr, "health-addr", health.DefaultAddress, "where health and metrics are answered")
	flags.StringVar(&opts.ListenHost, "listen-host", "", "the address at which clients are served; none: all")
	flags.StringVar(&opts.PodUID, "pod-uid", os.Getenv("POD_UID"), "UID of this pod; default: $POD_UID")
	flags.DurationVar(&opts.DrainLag, "drain-lag", process.DefaultDrainLag, "how long clients are still accepted after SIGTERM")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "the least level that is logged: DEBUG, INFO, WARN or ERROR")
	flags.BoolVar(&showVersion, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "pooler serves the clients of one ConnectionPool.")
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return opts, false, err
	}
	opts.Version = softwareVersion()
	opts.Logger = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	switch {
	case showVersion:
		return opts, true, nil
	case flags.NArg() > 0:
		return opts, false, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.PodUID == "":
		return opts, false, errors.New("the UID of this pod is not known: set --pod-uid or $POD_UID")
	case opts.DrainLag < 0:
		return opts, false, errors.New("--drain-lag must not be negative")
	}
	return opts, false, nil
}

// onSignals returns what the first SIGTERM or SIGINT closes, and what the second does.
func onSignals() (leave, hasten <-chan struct{}) {
	first, second := make(chan struct{}), make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		close(first)
		<-signals
		close(second)
	}()
	return first, second
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
