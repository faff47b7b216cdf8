package pods_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/weir-dev/weir/controllers/controlca"
	"github.com/weir-dev/weir/controllers/pods"
	"github.com/weir-dev/weir/controllers/pods/podtest"
	"github.com/weir-dev/weir/pooler/podapi"
)

const pool = "default/orders"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ground is a network with one operator in it.
type ground struct {
	*testing.T
	network   *podtest.Network
	authority *controlca.Authority
	client    *pods.Client

	mu  sync.Mutex
	now time.Time
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{T: t, network: podtest.NewNetwork(), now: time.Now()}
	g.authority = newAuthority(t)
	g.client = g.operator(g.authority, g.network.Dial)
	return g
}

func newAuthority(t *testing.T) *controlca.Authority {
	t.Helper()
	authority, err := controlca.Ensure(t.Context(), fake.NewFakeClient(), "weir-system", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func (g *ground) operator(authority *controlca.Authority, dial func(context.Context, string, string) (net.Conn, error)) *pods.Client {
	client := pods.New(pods.Options{Certificate: authority.ClientCertificate, Dial: dial, Now: g.clock, Timeout: 5 * time.Second})
	g.Cleanup(client.Close)
	return client
}

func (g *ground) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *ground) advance(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

// pod starts a pod and lets the operator know of it.
func (g *ground) pod(uid, address string) (*podtest.Pod, pods.Pod) {
	g.Helper()
	running, err := podtest.Start(g.network, uid, address+":9902", g.authority.PEM())
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(running.Stop)
	return running, pods.Pod{UID: uid, Name: "pod-" + uid, Address: netip.MustParseAddr(address), Ready: true, Serving: true}
}

func config(t *testing.T, ledger int64, shares map[string]int32) []byte {
	t.Helper()
	c := podapi.Config{
		Version: podapi.Version, Pool: pool, Generation: 1, Ledger: ledger,
		Destinations: []podapi.Destination{{Name: "orders"}}, Shares: map[string]map[string]podapi.Share{},
	}
	for uid, maxOpen := range shares {
		c.Shares[uid] = map[string]podapi.Share{"orders": {MaxOpen: maxOpen}}
	}
	document, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestAPushIsAnsweredWithWhatThePodAppliedAndSeenInItsState(t *testing.T) {
	g := newGround(t)
	_, pod := g.pod("a", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{pod})

	applied, err := g.client.Push(t.Context(), "a", config(t, 7, map[string]int32{"a": 5}))
	if err != nil || applied != (podapi.Applied{Generation: 1, Ledger: 7}) {
		t.Fatalf("push: %+v, %v", applied, err)
	}
	state, err := g.client.State(t.Context(), "a")
	if err != nil || state.Ledger != 7 || state.Destinations[0].Limit != 5 {
		t.Fatalf("state: %+v, %v", state, err)
	}
}

func TestOneConnectionServesManyCalls(t *testing.T) {
	g := newGround(t)
	_, pod := g.pod("a", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{pod})
	for range 20 {
		if _, err := g.client.State(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if dials := g.network.Dials(); dials != 1 {
		t.Errorf("%d connections were opened", dials)
	}
}

func TestAnOlderPushIsARefusalWithThePodsWords(t *testing.T) {
	g := newGround(t)
	_, pod := g.pod("a", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{pod})
	if _, err := g.client.Push(t.Context(), "a", config(t, 7, nil)); err != nil {
		t.Fatal(err)
	}
	_, err := g.client.Push(t.Context(), "a", config(t, 6, nil))
	var refusal *pods.Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusConflict || !strings.Contains(refusal.Message, "older") {
		t.Errorf("got %v", err)
	}
}

func TestAPodThatRefusesAPushStillShowsItsState(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	running.Refuse("port 5432 is taken")
	g.client.Meet(pool, []pods.Pod{pod})
	results, failed := g.client.PushAll(t.Context(), []pods.Pod{pod}, config(t, 3, nil))
	if err := failed["a"]; err == nil || !strings.Contains(err.Error(), "port 5432 is taken") {
		t.Errorf("failed with %v", err)
	}
	if results[0].Err != nil || results[0].State == nil || results[0].State.PodUID != "a" || results[0].State.Ledger != 0 {
		t.Errorf("got %+v", results[0])
	}
}

func TestPodsLetInNobodyElse(t *testing.T) {
	g := newGround(t)
	_, pod := g.pod("a", "10.0.0.1")
	stranger := g.operator(newAuthority(t), g.network.Dial)
	stranger.Meet(pool, []pods.Pod{pod})
	if _, err := stranger.State(t.Context(), "a"); err == nil {
		t.Error("an operator of another CA was let in")
	}
}

func TestAPodThatShowsAnotherCertificateIsNotTalkedTo(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{pod})
	if _, err := g.client.State(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := running.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.State(t.Context(), "a"); err != nil {
		t.Fatalf("a container that started again is not known: %v", err)
	}
	if err := running.Masquerade(); err != nil {
		t.Fatal(err)
	}
	for _, ready := range []bool{true, false} {
		pod.Ready = ready
		g.client.Meet(pool, []pods.Pod{pod})
		if _, err := g.client.State(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "another certificate") {
			t.Errorf("ready %t: got %v", ready, err)
		}
		g.advance(time.Minute)
	}
}

func TestAPinIsForgottenWithItsPod(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{pod})
	if _, err := g.client.State(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	g.client.Meet(pool, nil)
	if _, err := g.client.State(t.Context(), "a"); err == nil {
		t.Fatal("a pod that is gone was asked")
	}
	if err := running.Masquerade(); err != nil {
		t.Fatal(err)
	}
	g.client.Meet(pool, []pods.Pod{pod})
	if _, err := g.client.State(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatNowBelongsToAnotherPodAnswersForNobodyElse(t *testing.T) {
	g := newGround(t)
	gone, old := g.pod("old", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{old})
	if _, err := g.client.State(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	gone.Stop()
	_, heir := g.pod("new", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{old, heir})
	if _, err := g.client.State(t.Context(), "old"); err == nil {
		t.Error("the heir of its address answered for the old pod")
	}
	if state, err := g.client.State(t.Context(), "new"); err != nil || state.PodUID != "new" {
		t.Errorf("the heir: %+v, %v", state, err)
	}
}

func TestOnePoolForgettingItsPodsLeavesThoseOfOthers(t *testing.T) {
	g := newGround(t)
	_, ours := g.pod("a", "10.0.0.1")
	_, theirs := g.pod("b", "10.0.0.2")
	g.client.Meet(pool, []pods.Pod{ours})
	g.client.Meet("default/other", []pods.Pod{theirs})
	g.client.Meet(pool, nil)
	if _, err := g.client.State(t.Context(), "b"); err != nil {
		t.Error(err)
	}
}

func TestAPodThatRefusesConnectionsIsTriedAgainSoon(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	running.Stop()
	g.client.Meet(pool, []pods.Pod{pod})
	for range 10 {
		if _, err := g.client.State(t.Context(), "a"); err == nil || errors.Is(err, pods.ErrNotTried) {
			t.Fatalf("got %v", err)
		}
		if _, err := g.client.State(t.Context(), "a"); !errors.Is(err, pods.ErrNotTried) {
			t.Fatalf("it is tried twice at once: %v", err)
		}
		g.advance(time.Second)
	}
	if err := running.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.State(t.Context(), "a"); err != nil {
		t.Fatalf("it is back: %v", err)
	}
}

func TestAPodThatLetsCallsTimeOutIsTriedLessAndLessOften(t *testing.T) {
	g := newGround(t)
	_, pod := g.pod("a", "10.0.0.1")
	tries := 0
	client := g.operator(g.authority, func(context.Context, string, string) (net.Conn, error) {
		tries++
		return nil, context.DeadlineExceeded
	})
	client.Meet(pool, []pods.Pod{pod})
	const seconds = 600
	for range seconds {
		if _, err := client.State(t.Context(), "a"); err == nil {
			t.Fatal("it answered")
		}
		g.advance(time.Second)
	}
	if most, least := seconds/30+6, seconds/30-1; tries > most || tries < least {
		t.Errorf("%d tries in %d seconds, want %d to %d", tries, seconds, least, most)
	}
}

func TestASilentPodDoesNotHoldUpTheOthers(t *testing.T) {
	g := newGround(t)
	_, lively := g.pod("a", "10.0.0.1")
	_, silent := g.pod("b", "10.0.0.2")
	black := func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "10.0.0.2:") {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return g.network.Dial(ctx, network, address)
	}
	client := g.operator(g.authority, black)
	client.Meet(pool, []pods.Pod{silent})
	client.Meet("default/other", []pods.Pod{lively})

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []pods.Result)
	go func() { done <- client.Poll(ctx, []pods.Pod{silent}, 0) }()
	if _, err := client.State(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	cancel()
	if results := <-done; results[0].Err == nil {
		t.Error("the silent pod answered")
	}
}

func TestTheLastAnswerOfAPodIsKeptWhileItIsSilent(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	g.client.Meet(pool, []pods.Pod{pod})
	if _, failed := g.client.PushAll(t.Context(), []pods.Pod{pod}, config(t, 4, map[string]int32{"a": 9})); len(failed) > 0 {
		t.Fatal(failed)
	}
	running.Stop()
	result := g.client.Poll(t.Context(), []pods.Pod{pod}, 0)[0]
	if result.Err == nil || result.State == nil || result.State.Ledger != 4 || result.State.Destinations[0].Limit != 9 {
		t.Errorf("got %+v", result)
	}
}

func TestMetricsTellOutcomesAndWhoAnswers(t *testing.T) {
	g := newGround(t)
	_, lively := g.pod("a", "10.0.0.1")
	gone, silent := g.pod("b", "10.0.0.2")
	refusing, stubborn := g.pod("c", "10.0.0.3")
	gone.Stop()
	refusing.Refuse("no")
	all := []pods.Pod{lively, silent, stubborn}
	g.client.Meet(pool, all)
	g.client.PushAll(t.Context(), all, config(t, 1, nil))
	registry := prometheus.NewRegistry()
	registry.MustRegister(g.client)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += "/" + label.GetValue()
			}
			got[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"weir_operator_pod_calls_total/answered":  3, // a push and two states
		"weir_operator_pod_calls_total/failed":    1,
		"weir_operator_pod_calls_total/refused":   1,
		"weir_operator_pods/yes":                  2,
		"weir_operator_pods/no":                   1,
		"weir_operator_pod_calls_in_flight":       0,
		"weir_operator_pod_calls_in_flight_limit": 256,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
}

func TestCallsInFlightAreBounded(t *testing.T) {
	g := newGround(t)
	const bound, many = 3, 12
	var mu sync.Mutex
	dialing, most := 0, 0
	full := make(chan struct{})
	counting := func(ctx context.Context, _, _ string) (net.Conn, error) {
		mu.Lock()
		dialing++
		most = max(most, dialing)
		if dialing == bound {
			close(full)
		}
		mu.Unlock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client := pods.New(pods.Options{Certificate: g.authority.ClientCertificate, Dial: counting, InFlight: bound})
	defer client.Close()
	var all []pods.Pod
	for i := range many {
		_, pod := g.pod(string(rune('a'+i)), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String())
		all = append(all, pod)
	}
	client.Meet(pool, all)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); client.Poll(ctx, all, 0) }()
	<-full
	cancel()
	<-done
	if most != bound {
		t.Errorf("%d calls were in flight", most)
	}
}

func TestAnswersThatMakeNoSenseAreErrors(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   string
	}{
		"no JSON":                       {"<html>", "read the answer"},
		"a version that nobody speaks":  {`{"version":99,"podUID":"a"}`, "version 99"},
		"the state of another pod":      {`{"version":1,"podUID":"b"}`, `pod "b" answers`},
		"more than a state can be long": {`"` + strings.Repeat("x", 2<<20) + `"`, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGround(t)
			running, pod := g.pod("a", "10.0.0.1")
			running.Answer(test.answer)
			g.client.Meet(pool, []pods.Pod{pod})
			if _, err := g.client.State(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
