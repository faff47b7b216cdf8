package desired_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/desired"
)

var update = flag.Bool("update", false, "write the golden files")

const image = "ghcr.io/weir-dev/weir:v1"

func minimal() *v1alpha1.ConnectionPool {
	return &v1alpha1.ConnectionPool{
		ObjectMeta: metav1.ObjectMeta{Name: "orders-db", Namespace: "shop", UID: "0b7c1a52", Generation: 1},
		Spec: v1alpha1.ConnectionPoolSpec{
			Destinations: []v1alpha1.Destination{{
				Name:      "orders",
				Protocol:  v1alpha1.ProtocolPostgreSQL,
				Endpoints: []v1alpha1.Endpoint{{Host: "postgres.shop.svc"}},
				PostgreSQL: v1alpha1.PostgreSQL{
					Auth: v1alpha1.Auth{UsersSecretRef: v1alpha1.SecretReference{Name: "orders-users"}},
				},
			}},
		},
	}
}

// full says something in every field that objects are made of.
func full() *v1alpha1.ConnectionPool {
	pool := minimal()
	secret := func(name string) v1alpha1.SecretReference { return v1alpha1.SecretReference{Name: name} }
	pool.Spec.Replicas = new(int32(4))
	pool.Spec.Destinations[0].Limits.MaxOpen = 200
	pool.Spec.Destinations[0].PostgreSQL.Auth.ServerUserSecretRef = secret("orders-users")
	pool.Spec.Destinations[0].PostgreSQL.Auth.Lookup.UserSecretRef = secret("orders-finder")
	pool.Spec.Destinations = append(pool.Spec.Destinations, v1alpha1.Destination{
		Name:       "billing",
		ListenPort: 5433,
		TLS:        v1alpha1.ServerTLS{Mode: v1alpha1.ServerTLSVerifyFull, CASecretRef: secret("db.ca"), CertificateSecretRef: secret("db-client")},
		PostgreSQL: v1alpha1.PostgreSQL{Auth: v1alpha1.Auth{UsersSecretRef: secret("billing-users")}},
	})
	pool.Spec.Listener = v1alpha1.Listener{
		ServiceType: corev1.ServiceTypeLoadBalancer,
		TLS:         v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSMutual, SecretRef: secret("tls"), ClientCASecretRef: secret("client-ca")},
	}
	pool.Spec.Rollout = v1alpha1.Rollout{
		MaxSurge:            new(intstr.FromString("50%")),
		MaxUnavailable:      new(intstr.FromInt32(0)),
		DrainTimeoutSeconds: 300,
	}
	pool.Spec.Template = v1alpha1.PodOverrides{
		Image: "registry.example.com/weir:mine",
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
		},
		NodeSelector: map[string]string{"pool": "edge"},
		Tolerations:  []corev1.Toleration{{Key: "edge", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "arch", Operator: corev1.NodeSelectorOpIn, Values: []string{"amd64"}}},
			}}},
		}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 2, TopologyKey: "rack", WhenUnsatisfiable: corev1.DoNotSchedule,
		}},
		PriorityClassName: "high",
		Labels:            map[string]string{"team": "shop", v1alpha1.LabelPool: "another"},
		Annotations:       map[string]string{"example.com/note": "hello"},
	}
	return pool
}

func deployment(t *testing.T, pool *v1alpha1.ConnectionPool, live desired.Live) *appsv1ac.DeploymentApplyConfiguration {
	t.Helper()
	d, err := desired.Deployment(pool, image, live)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The golden files show what a person finds in the cluster. Rewrite them with: go test ./controllers/desired -update
func TestObjectsAreAsTheGoldenFilesShow(t *testing.T) {
	pools := map[string]*v1alpha1.ConnectionPool{"minimal": minimal(), "full": full()}
	for name, pool := range pools {
		objects := map[string]any{
			"deployment":          deployment(t, pool, desired.Live{}),
			"service":             desired.Service(pool),
			"poddisruptionbudget": desired.PodDisruptionBudget(pool),
			"configmap":           desired.ConfigMap(pool, map[string]string{"config.json": "{}", "ledger.json": "{}"}),
		}
		for kind, object := range objects {
			t.Run(name+" "+kind, func(t *testing.T) { golden(t, name+"-"+kind+".yaml", object) })
		}
	}
}

func golden(t *testing.T, file string, object any) {
	got, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", file)
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

func TestRolloutNeverWaitsForAConnectionThatNobodyCanGiveUp(t *testing.T) {
	one, zero := intstr.FromInt32(1), intstr.FromInt32(0)
	tests := map[string]struct {
		replicas, maxOpen  int32
		surge, unavailable intstr.IntOrString
	}{
		"enough for the pods and the surge":           {replicas: 4, maxOpen: 5, surge: intstr.FromString("25%"), unavailable: zero},
		"one pod goes on until the other has come":    {replicas: 1, maxOpen: 2, surge: intstr.FromString("25%"), unavailable: zero},
		"enough for the pods, not for the surge":      {replicas: 4, maxOpen: 4, surge: zero, unavailable: one},
		"not even enough for the pods":                {replicas: 4, maxOpen: 3, surge: zero, unavailable: one},
		"a share of a pod counts as one in the surge": {replicas: 5, maxOpen: 6, surge: zero, unavailable: one},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pool := minimal()
			pool.Spec.Replicas = &test.replicas
			pool.Spec.Destinations[0].Limits.MaxOpen = test.maxOpen
			surge, unavailable := desired.Strategy(pool)
			if surge != test.surge || unavailable != test.unavailable {
				t.Errorf("surge %s, unavailable %s", surge.String(), unavailable.String())
			}
		})
	}
}

// Promise 3: what pods take over while they run must not roll them.
func TestTemplateChangesOnlyWhenPodsMust(t *testing.T) {
	before := hash(t, minimal())
	keeps := map[string]func(*v1alpha1.ConnectionPool){
		"replicas":         func(p *v1alpha1.ConnectionPool) { p.Spec.Replicas = new(int32(9)) },
		"limits":           func(p *v1alpha1.ConnectionPool) { p.Spec.Destinations[0].Limits.MaxOpen = 7 },
		"a port":           func(p *v1alpha1.ConnectionPool) { p.Spec.Destinations[0].ListenPort = 6000 },
		"an endpoint":      func(p *v1alpha1.ConnectionPool) { p.Spec.Destinations[0].Endpoints[0].Host = "other" },
		"the pool mode":    func(p *v1alpha1.ConnectionPool) { p.Spec.Destinations[0].PostgreSQL.PoolMode = "Session" },
		"the Service type": func(p *v1alpha1.ConnectionPool) { p.Spec.Listener.ServiceType = "NodePort" },
		"a destination with a Secret that is mounted already": func(p *v1alpha1.ConnectionPool) {
			d := p.Spec.Destinations[0]
			d.Name, d.ListenPort = "more", 6000
			p.Spec.Destinations = append(p.Spec.Destinations, d)
		},
	}
	for name, change := range keeps {
		t.Run(name+" does not roll pods", func(t *testing.T) {
			pool := minimal()
			change(pool)
			if hash(t, pool) != before {
				t.Error("the template changed")
			}
		})
	}
	rolls := map[string]func(*v1alpha1.ConnectionPool){
		"a new Secret":      func(p *v1alpha1.ConnectionPool) { p.Spec.Listener.TLS.SecretRef.Name = "tls" },
		"an image":          func(p *v1alpha1.ConnectionPool) { p.Spec.Template.Image = "mine" },
		"the drain timeout": func(p *v1alpha1.ConnectionPool) { p.Spec.Rollout.DrainTimeoutSeconds = 5 },
	}
	for name, change := range rolls {
		t.Run(name+" rolls pods", func(t *testing.T) {
			pool := minimal()
			change(pool)
			if hash(t, pool) == before {
				t.Error("the template did not change")
			}
		})
	}
}

func hash(t *testing.T, pool *v1alpha1.ConnectionPool) string {
	return deployment(t, pool, desired.Live{}).Annotations[v1alpha1.AnnotationTemplateHash]
}

func TestImageStaysUntilTheTemplateChanges(t *testing.T) {
	named := minimal()
	named.Spec.Template.Image = "weir:mine"
	tests := map[string]struct {
		pool *v1alpha1.ConnectionPool
		live desired.Live
		want string
	}{
		"a new pool has the operator's image":                {minimal(), desired.Live{}, image},
		"a new operator leaves pods as they are":             {minimal(), desired.Live{Image: "weir:v0", TemplateHash: hash(t, minimal())}, "weir:v0"},
		"a template that changes takes the new image too":    {minimal(), desired.Live{Image: "weir:v0", TemplateHash: "other"}, image},
		"the image that the pool names wins":                 {named, desired.Live{Image: "weir:v0", TemplateHash: hash(t, named)}, "weir:mine"},
		"a pool that names none any more has the operator's": {minimal(), desired.Live{Image: "weir:mine", TemplateHash: hash(t, named)}, image},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := *deployment(t, test.pool, test.live).Spec.Template.Spec.Containers[0].Image
			if got != test.want {
				t.Errorf("the image is %s, not %s", got, test.want)
			}
		})
	}
}

func TestVolumeNamesAreLegalForAnySecret(t *testing.T) {
	pool := minimal()
	pool.Spec.Destinations[0].PostgreSQL.Auth.UsersSecretRef.Name = strings.Repeat("a.", 126) + "a"
	for _, v := range deployment(t, pool, desired.Live{}).Spec.Template.Spec.Volumes {
		if len(*v.Name) > 63 || strings.Contains(*v.Name, ".") {
			t.Errorf("%s cannot name a volume", *v.Name)
		}
	}
}
