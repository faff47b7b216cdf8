package plan_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/desired"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/pooler/podapi"
)

// What pods are told of a pool that says something in every field. Rewrite with: go test ./controllers/plan -update
func TestConfigIsAsTheGoldenFileShows(t *testing.T) {
	s := newStory(t)
	secret := func(name string) v1alpha1.SecretReference { return v1alpha1.SecretReference{Name: name} }
	s.pool.UID = "0e0ec1a2-7a4f-4f7c-9c0c-5a1f6d2b8e11"
	d := &s.pool.Spec.Destinations[0]
	d.Endpoints = append(d.Endpoints, v1alpha1.Endpoint{Host: "2001:db8::1", Port: 6432})
	d.Limits = v1alpha1.Limits{
		MaxOpen: 11, MinIdle: 3, MaxIdle: new(int32(5)), IdleTimeoutSeconds: 60, MaxLifetimeSeconds: 3600,
		AcquireTimeoutMilliseconds: 1500, MaxWaiting: new(int32(101)), MaxClients: 500,
		ConnectTimeoutSeconds: 4, LoginTimeoutSeconds: 20, ClientIdleTimeoutSeconds: 7200,
		IdleInTransactionTimeoutSeconds: 300, QueryTimeoutSeconds: 60, TransactionTimeoutSeconds: 600,
	}
	d.TLS = v1alpha1.ServerTLS{Mode: v1alpha1.ServerTLSVerifyFull, CASecretRef: secret("db-ca"), CertificateSecretRef: secret("db-client")}
	d.StopPolicy = v1alpha1.StopPolicyHold
	d.PostgreSQL.MaxPreparedStatements = new(int32(300))
	d.PostgreSQL.PoolMode, d.PostgreSQL.TargetSession = v1alpha1.PoolModeSession, v1alpha1.TargetSessionReadWrite
	d.PostgreSQL.Databases = []v1alpha1.Database{{Name: "orders"}, {Name: "old", Target: "archive"}}
	d.PostgreSQL.Auth.ServerUserSecretRef = secret("server-user")
	d.PostgreSQL.Auth.Method = v1alpha1.AuthCertificate
	d.PostgreSQL.Auth.Lookup = v1alpha1.Lookup{UserSecretRef: secret("finder"), Database: "auth", Query: "SELECT find($1)", CacheSeconds: 7}
	d.PostgreSQL.Auth.CertificateUsers = []v1alpha1.CertificateUser{{CommonName: "billing.shop", User: "billing"}}
	d.PostgreSQL.Console = v1alpha1.Console{AdminUsers: []string{"dba"}, StatsUsers: []string{"exporter"}}
	s.pool.Spec.Listener.TLS = v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSMutual, SecretRef: secret("tls"), ClientCASecretRef: secret("client-ca")}
	s.pool.Spec.Rollout.DrainTimeoutSeconds = 90
	s.rest("no pod")
	s.start("a")
	s.start("b")
	s.rest("two pods")
	s.start("c")
	s.passes(1, "one more that has no limit yet")

	got, err := yaml.JSONToYAML([]byte(s.data[podapi.ConfigKey]))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "config.yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s has changed:\n%s", path, got)
	}
}

func TestIdleConnectionsAreDividedExactlyAndWaitersRoundedUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(t)
		maxOpen := rapid.Int32Range(1, 200).Draw(rt, "maxOpen")
		maxIdle := rapid.Int32Range(0, maxOpen).Draw(rt, "maxIdle")
		minIdle := rapid.Int32Range(0, maxIdle).Draw(rt, "minIdle")
		maxWaiting := rapid.Int32Range(0, 200).Draw(rt, "maxWaiting")
		s.pool.Spec.Destinations[0].Limits = v1alpha1.Limits{MaxOpen: maxOpen, MinIdle: minIdle, MaxIdle: &maxIdle, MaxWaiting: &maxWaiting}
		perUser := rapid.Int32Range(1, maxOpen).Draw(rt, "maxOpenPerUser")
		s.pool.Spec.Destinations[0].Limits.MaxOpenPerUser = perUser
		pods := rapid.IntRange(1, 7).Draw(rt, "pods")
		for i := range pods {
			s.start(string(rune('a' + i)))
		}
		s.rest("pods")
		var sum podapi.Share
		for _, p := range s.pods {
			share := p.config.Shares[p.name]["orders"]
			if share.MinIdle > share.MaxIdle || share.MaxIdle > share.MaxOpen {
				rt.Errorf("a share makes no sense: %+v", share)
			}
			sum.MaxOpen += share.MaxOpen
			sum.MaxIdle += share.MaxIdle
			sum.MinIdle += share.MinIdle
			sum.MaxWaiting += share.MaxWaiting
			sum.MaxOpenPerUser += share.MaxOpenPerUser
			if share.MaxOpenPerUser < 1 || share.MaxOpenPerUser > max(1, share.MaxOpen) {
				rt.Errorf("a user may have none, or more than the pod: %+v", share)
			}
		}
		if sum.MaxOpen != maxOpen || sum.MaxIdle != maxIdle || sum.MinIdle != minIdle {
			rt.Errorf("sums are %+v, wanted maxOpen %d, maxIdle %d, minIdle %d", sum, maxOpen, maxIdle, minIdle)
		}
		if sum.MaxWaiting < maxWaiting || sum.MaxWaiting >= maxWaiting+int32(pods) {
			rt.Errorf("%d may wait, not %d", sum.MaxWaiting, maxWaiting)
		}
		if most := max(perUser, int32(pods)); sum.MaxOpenPerUser > most || sum.MaxOpenPerUser <= perUser-int32(pods) {
			rt.Errorf("a user may have %d in %d pods, not %d", sum.MaxOpenPerUser, pods, perUser)
		}
	})
}

func TestVersionRisesWithWhatIsPushedAndOnlyThen(t *testing.T) {
	s := newStory(t)
	s.start("a")
	s.rest("a pod")
	version := s.pass().Document.Ledger.Version

	s.pool.Spec.Destinations[0].Endpoints[0].Host = "other"
	s.pool.Generation++
	p := s.pass()
	if p.Document.Config.Ledger != version+1 || p.Document.Ledger.Version != version+1 || !p.Write {
		t.Errorf("a change of the spec is version %d after %d, write %t", p.Document.Config.Ledger, version, p.Write)
	}
	if p = s.pass(); p.Write || p.Document.Ledger.Version != version+1 {
		t.Errorf("nothing changed, and it is version %d, write %t", p.Document.Ledger.Version, p.Write)
	}
}

func TestPodsThatCannotBeSeenAreNotGone(t *testing.T) {
	s := newStory(t)
	s.start("a")
	s.rest("a pod")
	o := s.observation()
	o.Pods, o.PodsKnown = nil, false
	o.Now = o.Now.Add(1000 * o.Vanish)
	p, err := plan.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	if p.Write || p.Document.Ledger.Charged("orders") != 20 {
		t.Errorf("without EndpointSlices the ledger becomes %+v", p.Document.Ledger)
	}
}

func TestAPodThatIsNotNamedIsNotPushedTo(t *testing.T) {
	s := newStory(t)
	s.start("a")
	s.rest("a pod")
	s.start("b").silent = true
	if p := s.passesUntilQuiet(); len(p.Lagging) != 0 || p.Requeue != plan.Fast {
		t.Errorf("a pod that never answered: push to %v, again in %s", p.Lagging, p.Requeue)
	}
}

func TestPodsKnowEachOtherFromTheWriteThatNamesTheirSharesOn(t *testing.T) {
	s := newStory(t)
	a := s.start("a")
	s.rest("a pod")
	s.start("b")
	if p := s.passesUntilQuiet(); len(p.Document.Config.Peers) != 2 || len(a.config.Peers) != 2 {
		t.Errorf("the peers are %v, and the first pod knows of %v", p.Document.Config.Peers, a.config.Peers)
	}
	s.rest("two pods")
	o := s.observation()
	for i := range o.Pods {
		o.Pods[i].Ready = !o.Pods[i].Ready
	}
	if p, err := plan.Make(o); err != nil || p.Write {
		t.Errorf("a probe that fails changes what pods are told (%v)", err)
	}
	a.terminating = true
	s.passesUntilQuiet()
	if p := s.pass(); len(p.Document.Config.Peers) != 2 {
		t.Errorf("a pod that leaves still holds sessions, and the peers are %v", p.Document.Config.Peers)
	}
	s.gone(a)
	if p := s.passesUntilQuiet(); len(p.Document.Config.Peers) != 1 || p.Document.Config.Peers[0].UID != "b" {
		t.Errorf("a pod is gone, and the peers are %v", p.Document.Config.Peers)
	}
}

func (s *story) passesUntilQuiet() *plan.Plan {
	s.lines = append(s.lines, "until nothing is written")
	p := s.pass()
	for p.Write {
		p = s.pass()
	}
	return p
}

func TestDocumentSurvivesTheConfigMap(t *testing.T) {
	s := newStory(t)
	s.start("a")
	s.rest("a pod")
	document, err := plan.ParseDocument(s.data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := document.Data()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(again, s.data) {
		t.Errorf("read and written again it is %v, not %v", again, s.data)
	}
}

func TestDocumentThatCannotBeTrustedIsNone(t *testing.T) {
	tests := map[string]map[string]string{
		"empty":                       {},
		"no JSON":                     {podapi.ConfigKey: "?", plan.LedgerKey: "{}"},
		"a ledger that is no JSON":    {podapi.ConfigKey: "{}", plan.LedgerKey: "?"},
		"keys that are not of a kind": {podapi.ConfigKey: `{"ledger":7}`, plan.LedgerKey: `{"version":6}`},
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			document, err := plan.ParseDocument(data)
			if err == nil || document.Ledger.Version != 0 || document.Config.Ledger != 0 {
				t.Errorf("it is read as %+v, error %v", document, err)
			}
		})
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add(`{"ledger":1}`, `{"version":1,"pods":{"a":{"destinations":{"orders":{"charge":3,"limit":3,"since":1}}}}}`)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, config, ledger string) {
		document, err := plan.ParseDocument(map[string]string{podapi.ConfigKey: config, plan.LedgerKey: ledger})
		if err != nil {
			return
		}
		if _, err := document.Data(); err != nil && !errors.Is(err, plan.ErrTooLarge) {
			t.Errorf("a document that was read cannot be written: %v", err)
		}
	})
}

func TestDocumentThatDoesNotFitSaysWhatToDo(t *testing.T) {
	s := newStory(t)
	long := strings.Repeat("x", 60)
	for i := range 32 {
		d := *s.pool.Spec.Destinations[0].DeepCopy()
		d.Name, d.ListenPort = strings.Repeat("d", i+1), 6000+int32(i)
		for j := range 256 {
			d.PostgreSQL.Databases = append(d.PostgreSQL.Databases, v1alpha1.Database{Name: long + string(rune('a'+j%26)), Target: long})
		}
		s.pool.Spec.Destinations = append(s.pool.Spec.Destinations, d)
	}
	if _, err := plan.Make(s.observation()); !errors.Is(err, plan.ErrTooLarge) {
		t.Errorf("the error is %v", err)
	}
}

func TestDeploymentKeepsTheImageThatRuns(t *testing.T) {
	s := newStory(t)
	first, err := desired.Deployment(s.pool, "weir:v0", desired.Live{})
	if err != nil {
		t.Fatal(err)
	}
	o := s.observation()
	o.Deployment = &appsv1.Deployment{}
	o.Deployment.Annotations = first.Annotations
	o.Deployment.Spec.Template.Spec.Containers = append(o.Deployment.Spec.Template.Spec.Containers,
		container("sidecar", "other"), container(desired.ContainerName, "weir:v0"))
	p, err := plan.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := *p.Deployment.Spec.Template.Spec.Containers[0].Image; got != "weir:v0" {
		t.Errorf("a new operator moves the pods to %s", got)
	}
}

func container(name, image string) corev1.Container {
	return corev1.Container{Name: name, Image: image}
}

func TestRolledOut(t *testing.T) {
	done := appsv1.Deployment{}
	done.Generation, done.Status.ObservedGeneration = 3, 3
	done.Spec.Replicas = new(int32(2))
	done.Status.Replicas, done.Status.UpdatedReplicas, done.Status.ReadyReplicas = 2, 2, 2
	tests := map[string]struct {
		change func(*appsv1.Deployment)
		want   bool
	}{
		"all pods are new and ready":     {func(*appsv1.Deployment) {}, true},
		"nobody has looked yet":          {func(d *appsv1.Deployment) { d.Generation++ }, false},
		"an old pod is left":             {func(d *appsv1.Deployment) { d.Status.Replicas++ }, false},
		"a pod is not replaced yet":      {func(d *appsv1.Deployment) { d.Status.UpdatedReplicas-- }, false},
		"a pod is not ready":             {func(d *appsv1.Deployment) { d.Status.ReadyReplicas-- }, false},
		"it says nothing of replicas: 1": {func(d *appsv1.Deployment) { d.Spec.Replicas = nil }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := done.DeepCopy()
			test.change(d)
			if plan.RolledOut(d) != test.want {
				t.Errorf("it is not %t", test.want)
			}
		})
	}
	if plan.RolledOut(nil) {
		t.Error("no Deployment is rolled out")
	}
}

// The plan of a plan that was carried out is to do nothing: there is no hot loop.
func TestAPlanCarriedOutLeavesNothingToDo(t *testing.T) {
	s := newStory(t)
	s.start("a")
	s.start("b")
	s.rest("two pods")
	for range 3 {
		if p := s.pass(); p.Write || len(p.Lagging) > 0 || p.Requeue != plan.Slow {
			t.Errorf("write %t, push to %v, again in %s", p.Write, p.Lagging, p.Requeue)
		}
	}
}

// While transactions run on a destination that is to be held, pods are asked each second how far they are.
func TestAHoldIsWatchedUntilItIsComplete(t *testing.T) {
	s := newStory(t)
	a := s.start("a")
	a.open, a.busy = 5, 2
	s.rest("a pod in transactions")
	s.pool.Spec.Destinations[0].StopPolicy = v1alpha1.StopPolicyHold
	s.pool.Generation++
	s.passes(3, "hold")
	if p := s.pass(); p.Write || p.Requeue != plan.Fast {
		t.Errorf("while it holds: write %t, again in %s", p.Write, p.Requeue)
	}
	a.busy = 0
	if p := s.pass(); p.Requeue != plan.Slow {
		t.Errorf("when it is held: again in %s", p.Requeue)
	}
}
