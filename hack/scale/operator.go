package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers"
	"github.com/weir-dev/weir/controllers/controlca"
	"github.com/weir-dev/weir/controllers/pods"
)

// Where the operator's process finds the fleet, and serves its metrics.
const (
	fleetVariable  = "WEIR_SCALE_FLEET"
	metricsAddress = "127.0.0.1:19443"
	pprofAddress   = "127.0.0.1:19444" // for go tool pprof
	concurrency    = 32                // this and the next two are as cmd/operator has them
	writes         = 90
	gcPercent      = 50
	namespace      = "weir-system"
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		panic(err)
	}
	return scheme
}

// operate is the operator's process: wired as cmd/operator is, but for how it dials pods.
func operate() error {
	debug.SetGCPercent(gcPercent)
	log.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	direct, err := client.New(config, client.Options{Scheme: newScheme()})
	if err != nil {
		return err
	}
	authority, err := controlca.Ensure(ctx, direct, namespace, time.Now)
	if err != nil {
		return err
	}
	pace := controllers.NewPace(writes)
	config.Wrap(pace.Wrap)
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: newScheme(), Cache: controllers.Cache(),
		Metrics: metricsserver.Options{BindAddress: metricsAddress}, PprofBindAddress: pprofAddress,
	})
	if err != nil {
		return err
	}
	news := &controllers.News{}
	podClient := pods.New(pods.Options{Certificate: authority.ClientCertificate, News: news.Of, Dial: dialFleet(os.Getenv(fleetVariable))})
	defer podClient.Close()
	if err := errors.Join(metrics.Registry.Register(podClient), metrics.Registry.Register(pace)); err != nil {
		return err
	}
	reconciler := controllers.New(controllers.Options{
		Client: manager.GetClient(), Direct: manager.GetAPIReader(), Pods: podClient, News: news,
		Events: manager.GetEventRecorder("weir-operator"), ClientCA: authority.PEM(), Image: "weir:scale",
	})
	if err := reconciler.SetupWithManager(manager, concurrency); err != nil {
		return err
	}
	return manager.Start(ctx)
}

// operator is that process, seen from outside.
type operator struct {
	command    *exec.Cmd
	kubeconfig string
	fleet      string
}

func startOperator(ctx context.Context, kubeconfig []byte, fleet string) (*operator, error) {
	file, err := os.CreateTemp("", "weir-scale-*.kubeconfig")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Write(kubeconfig); err != nil {
		return nil, err
	}
	o := &operator{kubeconfig: file.Name(), fleet: fleet}
	return o, o.start(ctx)
}

func (o *operator) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll("dist", 0o755); err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join("dist", "scale-operator.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	o.command = exec.Command(self)
	o.command.Env = append(os.Environ(), "KUBECONFIG="+o.kubeconfig, fleetVariable+"="+o.fleet)
	o.command.Stdout, o.command.Stderr = output, output
	if err := o.command.Start(); err != nil {
		return err
	}
	for {
		if _, err := o.writes(); err == nil {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the operator to start: %w", err)
		}
	}
}

func (o *operator) stop() {
	_ = o.command.Process.Signal(syscall.SIGTERM)
	_ = o.command.Wait()
	_ = os.Remove(o.kubeconfig)
}

// restart ends the process and starts another, and waits until that one knows all pods.
func (o *operator) restart(ctx context.Context, w *world) error {
	_ = o.command.Process.Signal(syscall.SIGTERM)
	_ = o.command.Wait()
	if err := o.start(ctx); err != nil {
		return err
	}
	for {
		known, err := o.metric(`weir_operator_pods{answers="yes"}`)
		if err == nil && int(known) == w.pools*w.pods {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// metric adds up the samples whose name and labels begin with prefix.
func (o *operator) metric(prefix string) (float64, error) {
	return o.sum(func(sample string) bool { return strings.HasPrefix(sample, prefix) })
}

// writes is how many requests have changed something in the API server.
func (o *operator) writes() (float64, error) {
	return o.sum(func(sample string) bool {
		return strings.HasPrefix(sample, "rest_client_requests_total{") && !strings.Contains(sample, `method="GET"`)
	})
}

// sum adds up the samples that count.
func (o *operator) sum(counts func(sample string) bool) (sum float64, err error) {
	response, err := http.Get("http://" + metricsAddress + "/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if !counts(lines.Text()) {
			continue
		}
		value, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, lines.Err()
}
