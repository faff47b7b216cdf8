package pods

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

const (
	defaultPort     = 9902 // where pooler pods listen unless told otherwise
	defaultTimeout  = 2 * time.Second
	defaultInFlight = 256

	// idleTimeout is how long a pod's second connection is kept: while its pool is looked at each second. In calm only the first
	// one stays, on which a question is open.
	idleTimeout = 5 * time.Second
	// connBuffer is what net/http sets aside for each connection, once for each direction. There is one or two for each pod, and
	// most of the time nothing is on them.
	connBuffer = 1 << 10
	// keepAlive is the interval of TCP keep-alives on kept connections.
	keepAlive = 15 * time.Second
	// maxStateBytes bounds an answer: 32 destinations with a histogram each are about 40 kB.
	maxStateBytes = 1 << 20
	// maxErrorBytes is how much of a refusal is shown to people.
	maxErrorBytes = 512
	// firstPause and lastPause bound the time between two tries of a pod that does not answer. It grows only for a pod
	// that lets calls time out: one that refuses connections, as a container that starts does, costs nothing to ask.
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// Options of a Client.
type Options struct {
	// Certificate returns the client certificate that pods ask for. It is called for each new connection. Required.
	Certificate func() (*tls.Certificate, error)
	// Port is the pods' control port. Unset: 9902.
	Port uint16
	// Timeout bounds each call, its dial included. Unset: 2 s.
	Timeout time.Duration
	// InFlight bounds the calls at any one time, over all pools. Unset: 256.
	InFlight int
	// Dial opens TCP connections to pods. Unset: an ordinary net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// News is called, from any goroutine, when a pod of a pool has something to say at once. Unset: pods are only heard when
	// they are polled.
	News func(pool string)
	// Now is the clock. Unset: time.Now.
	Now func() time.Time
}

// Client talks to the control ports of pods. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	options  Options
	inFlight chan struct{}
	metrics  clientMetrics

	ctx       context.Context // of those who attend
	stop      context.CancelFunc
	attending sync.WaitGroup

	mu   sync.Mutex
	pods map[string]*contact // by UID
}

// contact is what the client knows of one pod.
type contact struct {
	pool    string // does not change
	address netip.Addr
	pinned  bool
	pin     [sha256.Size]byte // of the certificate first seen

	last   *podapi.State      // what it answered last, however old
	lastAt time.Time          // when it answered that
	leave  context.CancelFunc // ends who attends to it; nil: nobody does

	pause    time.Duration // 0: the last call was answered
	nextTry  time.Time
	lastFail error
}

// Refusal is a pod's answer to a push that it does not accept.
type Refusal struct {
	Status  int    // 409: it runs something newer; 422: it makes no sense to it
	Message string // what the pod says about it
}

func (r *Refusal) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("refused with status %d", r.Status)
	}
	return fmt.Sprintf("refused with status %d: %s", r.Status, r.Message)
}

// ErrNotTried wraps the last failure of a pod that is not asked again so soon.
var ErrNotTried = errors.New("not tried again yet")

// New makes a Client; Close it when done.
func New(options Options) *Client {
	if options.Port == 0 {
		options.Port = defaultPort
	}
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	if options.InFlight == 0 {
		options.InFlight = defaultInFlight
	}
	if options.Dial == nil {
		options.Dial = (&net.Dialer{Timeout: options.Timeout, KeepAlive: keepAlive}).DialContext
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	c := &Client{options: options, inFlight: make(chan struct{}, options.InFlight), metrics: newMetrics(), pods: map[string]*contact{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.http = &http.Client{
		Transport: &http.Transport{
			DialTLSContext:      c.dial,
			MaxConnsPerHost:     2, // the host is a pod's UID
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     idleTimeout,
			DisableCompression:  true,
			ReadBufferSize:      connBuffer,
			WriteBufferSize:     connBuffer,
		},
		// A control port has no reason to send the operator elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Close ends what is under way of itself and closes the kept connections.
func (c *Client) Close() {
	c.mu.Lock()
	c.stop() // nobody begins to attend after this
	c.mu.Unlock()
	c.attending.Wait()
	c.http.CloseIdleConnections()
}

// Meet tells the client which pods a pool has now. Others that the pool had are forgotten with their pins.
func (c *Client) Meet(pool string, pods []Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	present := make(map[string]bool, len(pods))
	for _, pod := range pods {
		present[pod.UID] = true
		known := c.pods[pod.UID]
		if known == nil {
			known = &contact{pool: pool}
			c.pods[pod.UID] = known
		}
		known.address = pod.Address
	}
	for uid, known := range c.pods {
		if known.pool == pool && !present[uid] {
			if known.leave != nil {
				known.leave()
			}
			delete(c.pods, uid)
		}
	}
}

// State asks a pod what it does now.
func (c *Client) State(ctx context.Context, uid string) (podapi.State, error) {
	var state podapi.State
	if err := c.call(ctx, uid, http.MethodGet, podapi.PathState, nil, &state); err != nil {
		return podapi.State{}, err
	}
	return state, c.note(uid, &state)
}

// lastState is what the pod answered last and when, or nil.
func (c *Client) lastState(uid string) (*podapi.State, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.pods[uid]; known != nil {
		return known.last, known.lastAt
	}
	return nil, time.Time{}
}

// Push sends a pod the bytes of a podapi.Config. A pod that does not accept them answers with a *Refusal.
func (c *Client) Push(ctx context.Context, uid string, config []byte) (podapi.Applied, error) {
	var applied podapi.Applied
	err := c.call(ctx, uid, http.MethodPut, podapi.PathConfig, config, &applied)
	return applied, err
}

// call makes one request and reads its bounded JSON answer into out.
func (c *Client) call(ctx context.Context, uid, method, path string, body []byte, out any) error {
	if err := c.mayTry(uid); err != nil {
		return err
	}
	select {
	case c.inFlight <- struct{}{}:
		defer func() { <-c.inFlight }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	begin := time.Now()
	err := c.roundTrip(ctx, uid, method, path, body, out)
	c.metrics.seconds.Observe(time.Since(begin).Seconds())
	c.metrics.count(err)
	c.remember(uid, err)
	return err
}

func (c *Client) roundTrip(ctx context.Context, uid, method, path string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+uid+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes))
		return &Refusal{Status: response.StatusCode, Message: strings.TrimSpace(string(message))}
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxStateBytes+1))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(answer) > maxStateBytes {
		return fmt.Errorf("the answer is longer than %d bytes", maxStateBytes)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// withoutURL drops the method and the made-up URL that net/http puts before an error.
func withoutURL(err error) error {
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) && strings.Contains(err.Error(), `"https://`) {
		return wrapped.Unwrap()
	}
	return err
}

// mayTry is nil unless the pod failed so recently that asking again would only cost time.
func (c *Client) mayTry(uid string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pods[uid]
	if known == nil {
		return fmt.Errorf("pod %q is not known", uid)
	}
	if known.pause > 0 && c.options.Now().Before(known.nextTry) {
		return fmt.Errorf("%w: %w", ErrNotTried, known.lastFail)
	}
	return nil
}

// remember sets the pause after a call that failed: longer and longer for those that take time.
func (c *Client) remember(uid string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pods[uid]
	if known == nil {
		return
	}
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) {
		known.pause, known.lastFail = 0, nil
		return
	}
	known.pause = max(known.pause, firstPause)
	if timedOut(err) {
		known.pause = min(2*known.pause, lastPause)
	}
	known.nextTry = c.options.Now().Add(known.pause)
	known.lastFail = err
}

func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// dial opens a connection to the pod whose UID the transport takes for a host name.
func (c *Client) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	uid, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, fmt.Errorf("split %q: %w", hostPort, err)
	}
	address, err := c.addressOf(uid)
	if err != nil {
		return nil, err
	}
	plain, err := c.options.Dial(ctx, network, net.JoinHostPort(address.String(), strconv.Itoa(int(c.options.Port))))
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, c.tlsConfig(uid))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return conn, nil
}

func (c *Client) addressOf(uid string) (netip.Addr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pods[uid]
	if known == nil {
		return netip.Addr{}, fmt.Errorf("pod %q is not known", uid)
	}
	return known.address, nil
}

func (c *Client) tlsConfig(uid string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.options.Certificate()
		},
		// The pod's certificate is its own work and names nothing to verify: what counts is that it stays the same,
		// which checkPin sees to.
		InsecureSkipVerify: true, //nolint:gosec // verified by checkPin
		VerifyConnection:   func(state tls.ConnectionState) error { return c.checkPin(uid, state) },
	}
}

// checkPin pins a pod's certificate on first contact and refuses another one afterwards.
func (c *Client) checkPin(uid string, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the pod shows no certificate")
	}
	seen := sha256.Sum256(state.PeerCertificates[0].Raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pods[uid]
	switch {
	case known == nil:
		return fmt.Errorf("pod %q is not known", uid)
	case !known.pinned:
		known.pin, known.pinned = seen, true
	case known.pin != seen:
		return errors.New("it shows another certificate than before: something stands between the operator and the pod")
	}
	return nil
}
