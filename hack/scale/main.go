// scale measures the operator: 1,000 pools of 10 pretended pods each, on a real API server. It prints what the operator's
// process took (CPU, memory, writes to the API server) and how long it took until all pods of a changed pool had said that they
// run the change; it fails when that is above the budget.
//
//	this process                       the operator, a process of its own
//	  kube-apiserver, etcd  <------------  the real reconciler and pod client
//	  a fleet of pods behind one port <--  dials each pod through that port
//
// Run it with make test-scale; --pools and --pods make it smaller.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The budget.
const (
	maxCores  = 1.0
	maxMemory = 1 << 30
	maxWrites = 100.0 // a second
	maxSync   = 2 * time.Second
)

type settings struct {
	pools, pods int
	steady      time.Duration // how long each phase is measured
	changes     int           // of pools, whose way to the pods is timed
}

func main() {
	if os.Getenv(fleetVariable) != "" {
		exit(operate())
		return
	}
	var s settings
	flag.IntVar(&s.pools, "pools", 1000, "pools")
	flag.IntVar(&s.pods, "pods", 10, "pods of each pool")
	flag.DurationVar(&s.steady, "steady", time.Minute, "how long each phase is measured")
	flag.IntVar(&s.changes, "changes", 200, "changes of limits whose way to the pods is timed")
	flag.Parse()
	exit(measure(s))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func measure(s settings) error {
	log.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // so that nothing is left behind
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	environment := &envtest.Environment{CRDDirectoryPaths: []string{"config/crd"}, ErrorIfCRDPathMissing: true, Scheme: newScheme()}
	environment.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.96.0.0/12") // a Service for each pool
	environment.ControlPlane.Etcd = &envtest.Etcd{}
	environment.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true") // the disk is not what is measured
	defer func() { _ = environment.Stop() }()                                // when the start fails late too
	config, err := environment.Start()
	if err != nil {
		return fmt.Errorf("start the API server: %w", err)
	}
	config.QPS = -1
	cluster, err := client.New(config, client.Options{Scheme: environment.Scheme})
	if err != nil {
		return err
	}
	fleet, err := newFleet()
	if err != nil {
		return err
	}
	defer fleet.close()
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	w := &world{settings: s, cluster: cluster, api: api.RESTClient(), fleet: fleet}
	if err := w.begin(ctx); err != nil {
		return err
	}
	operator, err := startOperator(ctx, environment.KubeConfig, fleet.address())
	if err != nil {
		return err
	}
	defer operator.stop()
	return w.phases(ctx, operator)
}

// phases are what is measured, one after the other.
func (w *world) phases(ctx context.Context, operator *operator) error {
	var over []error
	phase := func(name string, budget bool, do func() error) error {
		before, err := operator.usage()
		if err != nil {
			return err
		}
		written, err := countRequests(ctx, w.api)
		if err != nil {
			return err
		}
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		after, err := operator.usage()
		if err != nil {
			return err
		}
		took := after.since(before)
		counted, err := countRequests(ctx, w.api)
		if err != nil {
			return err
		}
		fmt.Printf("%-38s %s\n", name, took)
		if writes := counted.since(written); writes != "" {
			fmt.Printf("%38s %s\n", "", writes)
		}
		if budget {
			over = append(over, took.over())
		}
		return nil
	}
	wait := func() error { return pause(ctx, w.steady) }
	if err := errors.Join(
		phase(fmt.Sprintf("%d pools of %d pods come", w.pools, w.pods), false, func() error { return w.create(ctx) }),
		phase("all is still", true, wait),
		phase("numbers of all pools change", true, func() error { return w.busy(ctx, wait) }),
		phase(fmt.Sprintf("%d limits change", w.changes), true, func() error { return w.change(ctx) }),
		phase("a new operator takes over", false, func() error { return operator.restart(ctx, w) }),
		phase("and all is still again", true, wait),
	); err != nil {
		return err
	}
	fmt.Printf("%-38s p50 %s, p99 %s, slowest %s\n", "from a change to all pods", w.percentile(50), w.percentile(99), w.percentile(100))
	if p99 := w.percentile(99); p99 > maxSync {
		over = append(over, fmt.Errorf("a change takes %s (p99) to all pods, more than %s", p99, maxSync))
	}
	return errors.Join(over...)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
