// Command operator makes ConnectionPools true: it runs the pods of pools, gives each its share of connections, and says in
// the pools' status how it goes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// gcPercent is how much garbage there may be beside what the operator holds: it holds much and makes little. GOGC says otherwise.
const gcPercent = 50

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is set by the linker; without it the build information says what this is.
var version string

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout)
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "operator:", err)
		return exitUsage
	case o.showVersion:
		fmt.Fprintln(stdout, "operator", softwareVersion())
		return 0
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	logger := logr.FromSlogHandler(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: o.logLevel}))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := operate(ctrl.SetupSignalHandler(), o); err != nil {
		fmt.Fprintln(stderr, "operator:", err)
		return exitFailed
	}
	return 0
}

// softwareVersion is what the linker or the build information says.
func softwareVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
