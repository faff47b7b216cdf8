package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// options are what the flags say.
type options struct {
	poolerImage    string
	namespace      string
	watched        string
	metricsAddress string
	healthAddress  string
	leaderElection bool
	concurrency    int
	writes         int
	logLevel       slog.Level
	showVersion    bool
}

// maxConcurrency bounds how many pools are looked at at once: each asks its pods meanwhile.
const maxConcurrency = 256

// minWrites is what a few pools that change need at least.
const minWrites = 5

// parse reads the flags. Its errors are one line each.
func parse(args []string) (options, error) {
	var o options
	flags := flagSet(&o)
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.showVersion {
		return o, nil
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	case o.poolerImage == "":
		return o, errors.New("the image of pooler pods is missing: set --pooler-image or POOLER_IMAGE")
	case o.namespace == "":
		return o, errors.New("the operator's own namespace is missing: set --namespace or POD_NAMESPACE")
	case !namesNamespaces(o.watched):
		return o, fmt.Errorf("%q does not name namespaces: write --watch-namespaces or WATCH_NAMESPACES as shop,billing", o.watched)
	case o.concurrency < 1 || o.concurrency > maxConcurrency:
		return o, fmt.Errorf("--concurrency is %d: it must be from 1 to %d", o.concurrency, maxConcurrency)
	case o.writes < minWrites:
		return o, fmt.Errorf("--api-writes-per-second is %d: it must be at least %d", o.writes, minWrites)
	}
	return o, nil
}

// namesNamespaces says that a list is empty or made of names that a namespace can have.
func namesNamespaces(list string) bool {
	return list == "" || !slices.ContainsFunc(strings.Split(list, ","), func(name string) bool {
		return len(validation.IsDNS1123Label(name)) > 0
	})
}

// namespaces are those whose pools are looked after; none: all.
func (o options) namespaces() []string {
	if o.watched == "" {
		return nil
	}
	return strings.Split(o.watched, ",")
}

func flagSet(o *options) *flag.FlagSet {
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.StringVar(&o.poolerImage, "pooler-image", os.Getenv("POOLER_IMAGE"), "image of pooler pods, for pools that name none; default: $POOLER_IMAGE")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator, where its CA and its lease are kept; default: $POD_NAMESPACE")
	flags.StringVar(&o.watched, "watch-namespaces", os.Getenv("WATCH_NAMESPACES"), "namespaces whose pools are looked after, divided by commas; empty: all; default: $WATCH_NAMESPACES")
	flags.StringVar(&o.metricsAddress, "metrics-address", ":8443", "where metrics are served over HTTPS, to those whose rights allow it; 0: nowhere")
	flags.StringVar(&o.healthAddress, "health-address", ":8081", "where /healthz and /readyz are served")
	flags.BoolVar(&o.leaderElection, "leader-election", true, "let only one of several replicas work")
	flags.IntVar(&o.concurrency, "concurrency", 32, "how many pools are looked at at once")
	flags.IntVar(&o.writes, "api-writes-per-second", 90, "how much is written to the API server at most; changes of pools come before pools that are new and before numbers in status")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "the least level that is logged: DEBUG, INFO, WARN or ERROR")
	flags.BoolVar(&o.showVersion, "version", false, "print the version and exit")
	return flags
}

// usage prints the flags.
func usage(w io.Writer) {
	fmt.Fprintln(w, "usage of operator:")
	flags := flagSet(&options{})
	flags.SetOutput(w)
	flags.PrintDefaults()
}
