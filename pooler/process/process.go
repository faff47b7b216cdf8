package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/control"
	"github.com/weir-dev/weir/pooler/drain"
	"github.com/weir-dev/weir/pooler/health"
	"github.com/weir-dev/weir/pooler/metrics"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/secrets"
)

// DefaultDrainLag is how long a leaving pod still accepts clients, because proxies lag behind the Service.
const DefaultDrainLag = 5 * time.Second

// Bounds of leaving, beside the drain time that the Config says.
const (
	stepTime     = 2 * time.Second
	farewellTime = 3 * time.Second // the operator polls every second while something moves
)

// Options say where the process finds what it needs. All are required, but for those that say what they are without.
type Options struct {
	Version     string
	PodUID      string
	ConfigPath  string
	SecretsDir  string
	StateDir    string
	ControlAddr string
	HealthAddr  string
	ListenHost  string // for clients; empty: all addresses
	DrainLag    time.Duration
	Logger      *slog.Logger
}

// Run serves until leave is closed, and then leaves in order, which is no error. When hasten is closed it leaves at once.
func Run(opts Options, leave, hasten <-chan struct{}) error {
	controlListener, err := net.Listen("tcp", opts.ControlAddr)
	if err != nil {
		return fmt.Errorf("open the control port: %w", err)
	}
	defer controlListener.Close()
	healthListener, err := net.Listen("tcp", opts.HealthAddr)
	if err != nil {
		return fmt.Errorf("open the health port: %w", err)
	}
	defer healthListener.Close()

	pod := newAgent(opts)
	defer pod.Close()
	controlServer, err := control.New(pod, opts.StateDir, opts.Logger)
	if err != nil {
		return fmt.Errorf("prepare the control port: %w", err)
	}
	healthServer := health.New(pod.Unready, metrics.Handler(opts.Version, pod.Snapshot), opts.Logger)
	ended := make(chan error, 2)
	go func() { ended <- named("control port", controlServer.Serve(controlListener)) }()
	go func() { ended <- named("health port", healthServer.Serve(healthListener)) }()
	opts.Logger.Info("pooler runs", "version", opts.Version, "pod", opts.PodUID,
		"control", controlListener.Addr().String(), "health", healthListener.Addr().String())

	var failure error
	pending := cap(ended)
	select {
	case <-leave:
	case failure = <-ended: // without its ports the pod is of no use: it leaves, and is started again
		pending--
	}
	if err := drain.Run(opts.Logger, hasten, steps(pod, opts.DrainLag)); err != nil {
		opts.Logger.Warn("left before all was in order", "error", err)
	}
	failure = errors.Join(failure, shutDown(controlServer, healthServer))
	for range pending {
		failure = errors.Join(failure, <-ended)
	}
	return failure
}

func newAgent(opts Options) *agent.Agent {
	return agent.New(agent.Options{
		PodUID:     opts.PodUID,
		Software:   opts.Version,
		ConfigPath: opts.ConfigPath,
		StateDir:   opts.StateDir,
		Secrets:    secrets.NewStore(opts.SecretsDir),
		ListenHost: opts.ListenHost,
		NewEngine:  func(d config.Destination) (agent.Engine, error) { return newEngine(d, opts.PodUID, opts.Logger) },
		Settle:     postgres.EndSeconds * time.Second,
		Logger:     opts.Logger,
	})
}

// shutDown closes the ports, letting what is being answered be answered.
func shutDown(servers ...interface{ Shutdown(context.Context) error }) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

func named(port string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", port, err)
	}
	return nil
}

// steps are the order of leaving.
func steps(pod *agent.Agent, lag time.Duration) []drain.Step {
	return []drain.Step{
		{Name: "announce", Time: lag, Do: func(ctx context.Context) error {
			pod.BeginLeaving()
			return drain.Wait(ctx)
		}},
		{Name: "stop accepting", Time: stepTime, Do: func(context.Context) error {
			pod.StopAccepting()
			return nil
		}},
		{Name: "let clients go", Time: pod.DrainTime(), Do: pod.LetGo},
		{Name: "close", Time: stepTime, Do: func(context.Context) error { return pod.Close() }},
		{Name: "farewell", Time: farewellTime, Do: func(ctx context.Context) error { return farewell(ctx, pod) }},
	}
}

// farewell waits until the operator saw that nothing is open any more, so that it gives the pod's share to others at once.
func farewell(ctx context.Context, pod *agent.Agent) error {
	if pod.Snapshot().Ledger == 0 {
		return nil // it never gave a share
	}
	select {
	case <-pod.Told():
		return nil
	case <-ctx.Done():
		return errors.New("the operator did not ask in time; it will free this pod's share later")
	}
}
