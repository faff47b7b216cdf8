package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/secrets"
	"github.com/weir-dev/weir/pooler/window"
)

// Options are what does not change while an Agent runs. All are required, but for those that say what they are without.
type Options struct {
	PodUID     string
	Software   string // version, for State
	ConfigPath string // the mounted Config; empty: there is none
	StateDir   string // where pushes are kept; empty: they are not
	Secrets    *secrets.Store
	ListenHost string                                   // empty: all addresses
	NewEngine  func(config.Destination) (Engine, error) // makes the engine of a destination's protocol; Apply follows
	Settle     time.Duration                            // how long servers may keep what the process before a restart had; 0: not at all
	Logger     *slog.Logger                             // nil: slog.Default()
}

// How often the Agent looks at the mounted file, the Secrets and its listeners, and how often it samples its engines.
const (
	lookEvery   = 2 * time.Second
	sampleEvery = time.Second
)

// Agent obeys the operator. Its methods may be called from any goroutine.
type Agent struct {
	opts     Options
	log      *slog.Logger
	renderer *config.Renderer

	background context.Context // of loops, probes and destinations that leave
	stop       context.CancelFunc
	running    sync.WaitGroup

	turn sync.Mutex // held while the Config changes, files included; taken before mu
	mu   sync.Mutex // held shortly; what is below changes with both held, so that either is enough to read it

	core         Core
	mountedCA    string
	mountedFault string
	seen         [sha256.Size]byte // of the Secrets that were applied
	legacy       legacy
	destinations []*destination // in the order of the Config
	leaving      []*destination // needs mu alone
	quiet        bool           // no new clients
	closed       bool
	told         chan struct{} // closed when the operator was told that all is gone
	trust        trust
}

// New makes an Agent and starts what it can from the files. Close ends it.
func New(opts Options) *Agent {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	a := &Agent{
		opts:     opts,
		log:      opts.Logger,
		renderer: config.NewRenderer(opts.Secrets),
		core:     NewCore(opts.PodUID),
		told:     make(chan struct{}),
	}
	a.background, a.stop = context.WithCancel(context.Background())
	a.boot()
	a.running.Go(func() { a.every(lookEvery, a.look) })
	a.running.Go(func() { a.every(sampleEvery, a.sample) })
	return a
}

// boot takes up what was accepted before a restart, and the mounted Config.
func (a *Agent) boot() {
	push, err := kept(a.opts.StateDir)
	switch {
	case err != nil:
		a.log.Error("the last accepted configuration cannot be read; limits stay 0 until the operator pushes", "error", err)
	case push != nil:
		a.mu.Lock()
		a.core = a.core.Kept(*push)
		a.legacy = leftBy(push.Shares[a.opts.PodUID], time.Now().Add(a.opts.Settle))
		a.mu.Unlock()
		a.log.Info("the last accepted configuration is taken up", "ledger", push.Ledger, "generation", push.Generation)
	}
	a.look()
}

// Push takes a Config from the operator. When it returns without an error, the Config is kept and its limits hold.
// The error is a *config.Invalid, wraps ErrStale or ErrForeign, or tells that the push could not be kept.
func (a *Agent) Push(document []byte) (podapi.Applied, error) {
	push, err := config.Parse(document)
	if err != nil {
		return podapi.Applied{}, err
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.closed {
		return podapi.Applied{}, errors.New("this pod has left")
	}
	next, changed, err := a.core.Push(push)
	if err != nil {
		return podapi.Applied{}, err
	}
	if changed {
		if err := a.keep(document); err != nil {
			return podapi.Applied{}, fmt.Errorf("keep the configuration: %w", err)
		}
		a.apply(next)
		a.log.Info("configuration applied", "ledger", push.Ledger, "generation", push.Generation)
	}
	return a.core.Applied(), nil
}

// keep makes a push outlive the process, where that is wanted.
func (a *Agent) keep(push []byte) error {
	if a.opts.StateDir == "" {
		return nil
	}
	return keep(a.opts.StateDir, push)
}

// Reload looks at once whether files have changed, which is otherwise done every two seconds.
func (a *Agent) Reload() { a.look() }

// look applies what changed in files: the mounted Config, Secrets; and opens listeners that are not open.
func (a *Agent) look() {
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.closed {
		return
	}
	next, changed := a.lookAtMounted()
	c := next.Config()
	if c == nil {
		return
	}
	seen := a.opts.Secrets.Digest(config.SecretNames(*c))
	settled := a.settle()
	if changed || settled || seen != a.seen || a.incomplete() {
		a.apply(next)
	}
}

// lookAtMounted reads the mounted Config.
func (a *Agent) lookAtMounted() (next Core, changed bool) {
	mounted, err := readConfig(a.opts.ConfigPath)
	fault := ""
	switch {
	case err != nil:
		fault = err.Error()
	case mounted == nil && a.opts.ConfigPath != "":
		fault = fmt.Sprintf("there is no configuration at %s yet", a.opts.ConfigPath)
	}
	if fault != a.mountedFault && fault != "" {
		a.log.Warn("the mounted configuration cannot be used", "error", fault)
	}
	a.mu.Lock()
	a.mountedFault = fault
	if mounted != nil {
		a.mountedCA = mounted.ClientCA
	}
	a.mu.Unlock()
	if mounted == nil {
		return a.core, false
	}
	next, changed = a.core.Mounted(*mounted)
	if changed {
		a.log.Info("the mounted configuration is taken up", "ledger", mounted.Ledger, "generation", mounted.Generation)
	}
	return next, changed
}

// incomplete tells whether something may work now that did not work before.
func (a *Agent) incomplete() bool {
	return slices.ContainsFunc(a.destinations, func(d *destination) bool {
		return a.mustListen(d) || d.succeeds ||
			slices.ContainsFunc(d.problems, func(p podapi.Problem) bool { return p.Reason == ReasonConfigInvalid })
	})
}

// apply makes the engines serve what a Core says. Limits hold when it returns.
func (a *Agent) apply(next Core) {
	c := *next.Config()
	before := a.problems()
	a.renderer.Begin()
	seen := a.opts.Secrets.Digest(config.SecretNames(c)) // before they are read: a later change is seen by the next look
	a.arrange(c)
	for i, spec := range c.Destinations {
		a.render(a.destinations[i], c, spec, next.Share(spec.Name))
	}
	a.listenAll(c)
	a.mu.Lock()
	a.core, a.seen = next, seen
	a.mu.Unlock()
	a.logProblems(before)
}

// arrange brings the list of destinations in line with a Config: new ones are added, those no longer there leave.
func (a *Agent) arrange(c podapi.Config) {
	was := map[string]*destination{}
	for _, d := range a.destinations {
		was[d.name] = d
	}
	present := make([]*destination, 0, len(c.Destinations))
	for _, spec := range c.Destinations {
		d := was[spec.Name]
		delete(was, spec.Name)
		if d == nil {
			d = &destination{name: spec.Name, window: window.New(time.Now()), again: make(chan struct{}, 1)}
		}
		present = append(present, d)
	}
	a.mu.Lock()
	a.destinations = present
	a.mu.Unlock()
	for _, d := range was {
		a.dismiss(d, time.Duration(c.DrainSeconds)*time.Second)
	}
}

// listenAll opens and closes ports. All are closed before one is opened, so that two destinations can swap theirs.
func (a *Agent) listenAll(c podapi.Config) {
	for i, spec := range c.Destinations {
		if d := a.destinations[i]; d.port != int(spec.ListenPort) {
			a.hush(d)
		}
	}
	for i, spec := range c.Destinations {
		if d := a.destinations[i]; a.mustListen(d) {
			a.listen(d, int(spec.ListenPort))
		}
	}
}

// every calls do at an interval until the Agent is closed.
func (a *Agent) every(interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-a.background.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}
