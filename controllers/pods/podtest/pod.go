package podtest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Pod is a pretended pooler pod. It is safe for concurrent use.
type Pod struct {
	UID     string
	Address string // host:port in its Network

	network     *Network
	clientCA    string
	certificate tls.Certificate
	server      *http.Server
	stopped     chan struct{}

	mu       sync.Mutex
	config   podapi.Config
	open     map[string]int32 // connections by destination
	wanted   map[string]int32 // what clients want, by destination
	changed  chan struct{}    // closed when news may be other ones
	held     bool             // open connections stay open whatever the limit
	draining bool
	problems []podapi.Problem
	faults   map[string]podapi.Problem // by destination

	lookupFault string
	refusal     string
	answer      string
	pushes      int
	polls       int
}

// New makes a pod that serves nothing by itself, see Handler.
func New(uid string) *Pod {
	return &Pod{
		UID: uid, open: map[string]int32{}, wanted: map[string]int32{}, changed: make(chan struct{}),
		faults: map[string]podapi.Problem{}, stopped: make(chan struct{}),
	}
}

// Start makes a pod that serves its control port at address of network until Stop. It lets in who shows a certificate
// that the authorities in clientCA (PEM) signed.
func Start(network *Network, uid, address, clientCA string) (*Pod, error) {
	p := New(uid)
	p.Address, p.network, p.clientCA = address, network, clientCA
	if err := p.masquerade(); err != nil {
		return nil, err
	}
	return p, p.serve()
}

// masquerade gives the pod another certificate.
func (p *Pod) masquerade() (err error) {
	p.certificate, err = selfMade()
	return err
}

// serve begins to listen.
func (p *Pod) serve() error {
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(p.clientCA)) {
		return fmt.Errorf("the client CA of pod %q holds no certificate", p.UID)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{p.certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    authorities,
	})
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	p.stopped = make(chan struct{})
	p.server = &http.Server{Handler: p.Handler(), ErrorLog: log.New(io.Discard, "", 0)}
	go func(server *http.Server, listener net.Listener) { _ = server.Serve(listener) }(p.server, listener)
	p.network.Route(p.Address, listener.Addr().String())
	return nil
}

// Handler serves the pod's control port, to whoever comes.
func (p *Pod) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+podapi.PathConfig, p.accept)
	mux.HandleFunc("GET "+podapi.PathState, p.report)
	return mux
}

// Stop ends the pod; its address becomes unreachable.
func (p *Pod) Stop() {
	p.network.Route(p.Address, "")
	select {
	case <-p.stopped:
	default:
		close(p.stopped)
	}
	_ = p.server.Close()
}

// Masquerade ends the pod's process; another one answers in its place, with a certificate of its own.
func (p *Pod) Masquerade() error {
	p.Stop()
	if err := p.masquerade(); err != nil {
		return err
	}
	return p.serve()
}

// Restart ends the pod's process and starts another, which keeps certificate and accepted Config, as a container that restarts
// in its pod does.
func (p *Pod) Restart() error {
	p.Stop()
	return p.serve()
}

// accept serves PUT config.
func (p *Pod) accept(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes++
	var config podapi.Config
	if err := json.NewDecoder(io.LimitReader(r.Body, podapi.MaxConfigBytes)).Decode(&config); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	switch {
	case p.refusal != "":
		http.Error(w, p.refusal, http.StatusUnprocessableEntity)
		return
	case config.Ledger < p.config.Ledger:
		http.Error(w, fmt.Sprintf("ledger %d is older than %d", config.Ledger, p.config.Ledger), http.StatusConflict)
		return
	}
	p.config = config
	p.obey()
	p.shake()
	writeJSON(w, podapi.Applied{Generation: config.Generation, Ledger: config.Ledger})
}

// obey closes what is open above the limits, unless clients hold it.
func (p *Pod) obey() {
	if p.held {
		return
	}
	for name, open := range p.open {
		p.open[name] = min(open, p.limit(name))
	}
	for _, d := range p.config.Destinations {
		if d.StopPolicy == podapi.StopPolicyHoldAndDrain {
			p.open[d.Name] = 0
		}
	}
}

// report serves GET state.
func (p *Pod) report(w http.ResponseWriter, r *http.Request) {
	if !p.awaitNews(r) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.URL.Query().Has(podapi.ParamWait) {
		p.polls++
	}
	if p.answer != "" {
		_, _ = io.WriteString(w, p.answer)
		return
	}
	writeJSON(w, p.state())
}

func (p *Pod) state() podapi.State {
	state := podapi.State{
		Version: podapi.Version, PodUID: p.UID, Software: "test",
		Generation: p.config.Generation, Ledger: p.config.Ledger,
		Draining: p.draining, WindowSeconds: 60, Problems: p.problems,
		Ready: p.config.Ledger > 0 && !p.draining && len(p.problems) == 0 && p.refusal == "",
	}
	state.News = p.news()
	for _, d := range p.config.Destinations {
		destination := podapi.DestinationState{
			Name: d.Name, Limit: p.limit(d.Name), Open: p.open[d.Name], Idle: p.open[d.Name], StopPolicy: d.StopPolicy, Reachable: "True",
		}
		destination.Wanted = p.wanted[d.Name]
		if p.held {
			destination.Idle, destination.Lent = 0, destination.Open
		}
		destination.LookupFault = p.lookupFault
		if fault, bad := p.faults[d.Name]; bad {
			destination.Reachable, destination.Fault = "False", &fault
		}
		state.Ready = state.Ready && destination.Limit > 0
		state.Destinations = append(state.Destinations, destination)
	}
	return state
}

// limit is the pod's share of a destination; a pod without one has none, and one that leaves only what it still uses.
func (p *Pod) limit(destination string) int32 {
	limit := p.config.Shares[p.UID][destination].MaxOpen
	if p.draining {
		return min(limit, p.open[destination])
	}
	return limit
}

// State is what the pod would report now.
func (p *Pod) State() podapi.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state()
}

// Generation is that of the Config that the pod runs.
func (p *Pod) Generation() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config.Generation
}

// Limit is what the pod may open to a destination now.
func (p *Pod) Limit(destination string) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit(destination)
}

// SetOpen opens or closes connections to a destination.
func (p *Pod) SetOpen(destination string, open int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[destination] = open
}

// SetWanted makes clients want so many connections to a destination.
func (p *Pod) SetWanted(destination string, wanted int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted[destination] = wanted
	p.shake()
}

// Hold keeps connections open that are above the limit, as clients in a transaction do; without it they close at once.
func (p *Pod) Hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	p.obey()
}

// SetDraining makes the pod leave.
func (p *Pod) SetDraining(draining bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = draining
	p.shake()
}

// SetProblems are what the pod complains of.
func (p *Pod) SetProblems(problems ...podapi.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = problems
}

// SetFault makes a destination unreachable for the pod; a fault without a reason mends it.
func (p *Pod) SetFault(destination string, fault podapi.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fault.Reason == "" {
		delete(p.faults, destination)
		return
	}
	p.faults[destination] = fault
}

// SetLookupFault makes lookups of users fail; an empty one mends them.
func (p *Pod) SetLookupFault(fault string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookupFault = fault
}

// Refuse makes the pod refuse every push with a reason; an empty one ends that.
func (p *Pod) Refuse(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = reason
}

// Answer makes the pod answer these bytes in place of its state; an empty answer ends that.
func (p *Pod) Answer(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// Pushes is how many pushes have arrived.
func (p *Pod) Pushes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pushes
}

// Polls is how often the pod was asked for its state, questions that stay open not counted.
func (p *Pod) Polls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.polls
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
