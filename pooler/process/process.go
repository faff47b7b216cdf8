package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/control"
	"github.com/weir-dev/weir/pooler/drain"
	"github.com/weir-dev/weir/pooler/health"
	"github.com/weir-dev/weir/pooler/metrics"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/secrets"
	"github.com/weir-dev/weir/pooler/standalone"
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
	Version    string
	Standalone string // the file to obey; empty: an operator is, with the six fields after it, which are not looked at otherwise

	PodUID      string
	ConfigPath  string
	SecretsDir  string
	StateDir    string
	ControlAddr string
	DrainLag    time.Duration

	HealthAddr string // standalone: empty for what the file says
	ListenHost string // for clients; empty: all addresses; standalone: what the file says
	Logger     *slog.Logger
}

// Signals are what the process is told from outside. A nil one never comes.
type Signals struct {
	Leave  <-chan struct{} // closed: leave in order
	Hasten <-chan struct{} // closed: leave at once
	Reload <-chan struct{} // each value: look whether files have changed
}

// Run serves until it is told to leave, and then leaves in order, which is no error.
func Run(opts Options, signals Signals) error {
	p := &process{opts: opts, made: make(chan struct{}), ended: make(chan error, 2)}
	p.hear(signals)
	defer p.unhear()
	if opts.Standalone != "" {
		return p.standAlone(signals.Reload)
	}
	return p.obeyOperator(signals.Reload)
}

// process is what runs.
type process struct {
	opts  Options
	pod   *agent.Agent
	made  chan struct{} // closed when there is a pod
	ended chan error    // of the servers that serve reports to
	ports []port

	leave, hasten chan struct{}
	left, hurried sync.Once
	unhear        func()
}

// port is a server and what it is called.
type port struct {
	name   string
	server interface {
		Serve(net.Listener) error
		Shutdown(context.Context) error
	}
}

// hear makes leave and hasten close when the signals do. The console may close them, too.
func (p *process) hear(signals Signals) {
	p.leave, p.hasten = make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	p.unhear = sync.OnceFunc(func() { close(done) })
	forward := func(from <-chan struct{}, now bool) {
		select {
		case <-from:
			p.quit(now)
		case <-done:
		}
	}
	go forward(signals.Leave, false)
	go forward(signals.Hasten, true)
}

// quit makes the process leave, now or in order.
func (p *process) quit(now bool) {
	if now {
		p.hurried.Do(func() { close(p.hasten) })
	}
	p.left.Do(func() { close(p.leave) })
}

// obeyOperator serves what the operator pushes.
func (p *process) obeyOperator(reload <-chan struct{}) error {
	opts := p.opts
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

	p.pod = agent.New(agent.Options{
		PodUID:     opts.PodUID,
		Software:   opts.Version,
		ConfigPath: opts.ConfigPath,
		StateDir:   opts.StateDir,
		Secrets:    secrets.NewStore(opts.SecretsDir),
		ListenHost: opts.ListenHost,
		NewEngine:  p.newEngine(opts.PodUID, func() error { p.pod.Reload(); return nil }),
		Settle:     postgres.EndSeconds * time.Second,
		Logger:     opts.Logger,
	})
	close(p.made)
	defer p.pod.Close()
	controlServer, err := control.New(p.pod, opts.StateDir, opts.Logger)
	if err != nil {
		return fmt.Errorf("prepare the control port: %w", err)
	}
	p.serve("control port", controlServer, controlListener)
	p.serve("health port", p.health(), healthListener)
	opts.Logger.Info("pooler runs", "version", opts.Version, "pod", opts.PodUID,
		"control", controlListener.Addr().String(), "health", healthListener.Addr().String())
	return p.untilTold(reload, nil, p.pod.Reload, steps(p.pod, opts.DrainLag, true))
}

// lookEvery is how often a file is looked at.
const lookEvery = 2 * time.Second

// standAlone serves what a file says.
func (p *process) standAlone(reload <-chan struct{}) error {
	opts := p.opts
	follower, err := standalone.Follow(opts.Standalone, opts.Logger)
	if err != nil {
		return err
	}
	file := follower.File()
	healthListener, err := net.Listen("tcp", cmp.Or(opts.HealthAddr, file.Health))
	if err != nil {
		return fmt.Errorf("open the health port: %w", err)
	}
	defer healthListener.Close()

	look := func(always bool) error { return follower.Push(always, p.pod.Push) }
	p.pod = agent.New(agent.Options{
		PodUID:     standalone.PodUID(),
		Software:   opts.Version,
		Secrets:    secrets.NewStoreOf(follower.Secret),
		ListenHost: cmp.Or(opts.ListenHost, file.ListenHost()),
		NewEngine: p.newEngine(standalone.PodUID(), func() error {
			p.pod.Reload() // of Secrets in files of their own
			return look(true)
		}),
		Logger: opts.Logger,
	})
	close(p.made)
	defer p.pod.Close()
	if err := look(true); err != nil {
		return err
	}
	p.serve("health port", p.health(), healthListener)
	opts.Logger.Info("pooler runs", "version", opts.Version, "file", opts.Standalone, "health", healthListener.Addr().String())
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	return p.untilTold(reload, tick.C, func() { _ = look(false) }, steps(p.pod, 0, false))
}

// newEngine makes engines whose consoles may reload and end the process.
func (p *process) newEngine(podUID string, reload func() error) func(config.Destination) (agent.Engine, error) {
	reloadPod := func() error {
		<-p.made
		return reload()
	}
	return func(d config.Destination) (agent.Engine, error) {
		return newEngine(d, postgres.Options{Pod: podUID, Reload: reloadPod, Quit: p.quit, Logger: p.opts.Logger.With("destination", d.Name)})
	}
}

func (p *process) health() *health.Server {
	return health.New(p.pod.Unready, metrics.Handler(p.opts.Version, p.pod.Snapshot), p.opts.Logger)
}

// serve lets a server serve until untilTold shuts it down.
func (p *process) serve(name string, server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}, listener net.Listener) {
	p.ports = append(p.ports, port{name, server})
	go func() { p.ended <- named(name, server.Serve(listener)) }()
}

// untilTold runs until the process is to leave, and leaves. look is called when reload or tick say so.
func (p *process) untilTold(reload <-chan struct{}, tick <-chan time.Time, look func(), steps []drain.Step) error {
	var failure error
	pending := len(p.ports)
	for told := false; !told; {
		select {
		case <-p.leave:
			told = true
		case failure = <-p.ended: // without its ports the process is of no use: it leaves, and is started again
			pending--
			told = true
		case <-reload:
			look()
		case <-tick:
			look()
		}
	}
	if err := drain.Run(p.opts.Logger, p.hasten, steps); err != nil {
		p.opts.Logger.Warn("left before all was in order", "error", err)
	}
	failure = errors.Join(failure, p.shutDown())
	for range pending {
		failure = errors.Join(failure, <-p.ended)
	}
	return failure
}

// shutDown closes the ports, letting what is being answered be answered.
func (p *process) shutDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	var errs []error
	for _, port := range p.ports {
		errs = append(errs, port.server.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

func named(port string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", port, err)
	}
	return nil
}

// steps are the order of leaving. An operator is waited for at the end.
func steps(pod *agent.Agent, lag time.Duration, operator bool) []drain.Step {
	order := []drain.Step{
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
	}
	if operator {
		order = append(order, drain.Step{Name: "farewell", Time: farewellTime, Do: func(ctx context.Context) error { return farewell(ctx, pod) }})
	}
	return order
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
