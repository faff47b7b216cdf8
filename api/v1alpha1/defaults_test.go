package v1alpha1_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// What the field comments promise for "unset", and that a zero which is a choice is kept.
func TestUnsetMeansWhatTheFieldCommentsSay(t *testing.T) {
	unset, chosen := &v1alpha1.ConnectionPool{}, &v1alpha1.ConnectionPool{}
	unset.Spec.Destinations = []v1alpha1.Destination{{Name: "orders"}}
	chosen.Spec = v1alpha1.ConnectionPoolSpec{
		Replicas: new(int32(0)),
		Destinations: []v1alpha1.Destination{{
			Name:       "orders",
			ListenPort: 6000,
			Endpoints:  []v1alpha1.Endpoint{{Port: 6001}},
			Limits:     v1alpha1.Limits{MaxOpen: 7, MaxIdle: new(int32(0)), AcquireTimeoutMilliseconds: 1, MaxClients: 2},
			TLS:        v1alpha1.ServerTLS{Mode: v1alpha1.ServerTLSDisable},
			PostgreSQL: v1alpha1.PostgreSQL{PoolMode: v1alpha1.PoolModeSession, MaxPreparedStatements: new(int32(0))},
		}},
		Listener: v1alpha1.Listener{ServiceType: "NodePort", TLS: v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSMutual}},
		Rollout: v1alpha1.Rollout{
			MaxSurge: new(intstr.FromInt32(0)), MaxUnavailable: new(intstr.FromString("0%")), DrainTimeoutSeconds: 1,
		},
	}
	tests := []struct {
		field         string
		of            func(*v1alpha1.ConnectionPool) any
		unset, chosen any
	}{
		{"replicas", func(p *v1alpha1.ConnectionPool) any { return p.Replicas() }, int32(2), int32(0)},
		{"listenPort", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].Port() }, int32(5432), int32(6000)},
		{"maxOpen", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].MaxOpen() }, int32(20), int32(7)},
		{"maxIdle", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].MaxIdle() }, int32(20), int32(0)},
		{"acquireTimeoutMilliseconds", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].AcquireTimeoutMilliseconds() }, int32(30_000), int32(1)},
		{"maxClients", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].MaxClients() }, int32(10_000), int32(2)},
		{"tls.mode", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].TLS.EffectiveMode() }, v1alpha1.ServerTLSPrefer, v1alpha1.ServerTLSDisable},
		{"poolMode", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Destinations[0].PostgreSQL.EffectivePoolMode() }, v1alpha1.PoolModeTransaction, v1alpha1.PoolModeSession},
		{"maxPreparedStatements", func(p *v1alpha1.ConnectionPool) any {
			return p.Spec.Destinations[0].PostgreSQL.PreparedStatements()
		}, int32(200), int32(0)},
		{"serviceType", func(p *v1alpha1.ConnectionPool) any { return string(p.Spec.Listener.EffectiveServiceType()) }, "ClusterIP", "NodePort"},
		{"listener.tls.mode", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Listener.TLS.EffectiveMode() }, v1alpha1.ListenerTLSDisabled, v1alpha1.ListenerTLSMutual},
		{"maxSurge", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Rollout.Surge() }, intstr.FromString("25%"), intstr.FromInt32(0)},
		{"maxUnavailable", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Rollout.Unavailable() }, intstr.FromInt32(1), intstr.FromString("0%")},
		{"drainTimeoutSeconds", func(p *v1alpha1.ConnectionPool) any { return p.Spec.Rollout.DrainSeconds() }, int32(60), int32(1)},
	}
	for _, test := range tests {
		t.Run(test.field, func(t *testing.T) {
			if got := test.of(unset); got != test.unset {
				t.Errorf("unset means %v, not %v", got, test.unset)
			}
			if got := test.of(chosen); got != test.chosen {
				t.Errorf("%v was chosen and it is %v", test.chosen, got)
			}
		})
	}
	if got := (v1alpha1.Endpoint{}).EffectivePort(); got != 5432 {
		t.Errorf("an endpoint without a port is %d", got)
	}
	if got := (v1alpha1.Database{Name: "orders"}).EffectiveTarget(); got != "orders" {
		t.Errorf("a database without a target is %q on the server", got)
	}
}
