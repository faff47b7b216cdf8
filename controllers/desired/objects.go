package desired

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// ConfigMap is what pods boot from and where the ledger lives. It may only be written over the resourceVersion that the
// data was made of.
func ConfigMap(pool *v1alpha1.ConnectionPool, data map[string]string) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(pool.ChildName(), pool.Namespace).
		WithLabels(Labels(pool)).
		WithOwnerReferences(owner(pool)).
		WithData(data)
}

// Service is where clients connect: a port for each destination, by its name.
func Service(pool *v1alpha1.ConnectionPool) *corev1ac.ServiceApplyConfiguration {
	spec := corev1ac.ServiceSpec().
		WithType(pool.Spec.Listener.EffectiveServiceType()).
		WithSelector(pool.PodLabels())
	for i := range pool.Spec.Destinations {
		d := &pool.Spec.Destinations[i]
		spec.WithPorts(corev1ac.ServicePort().
			WithName(d.Name).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(d.Port()).
			WithTargetPort(intstr.FromInt32(d.Port())))
	}
	return corev1ac.Service(pool.ServiceName(), pool.Namespace).
		WithLabels(Labels(pool)).
		WithOwnerReferences(owner(pool)).
		WithSpec(spec)
}

// PodDisruptionBudget bounds how many pods may be away at once for somebody else's reasons. Pods that do not serve may
// always be moved.
func PodDisruptionBudget(pool *v1alpha1.ConnectionPool) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(pool.ChildName(), pool.Namespace).
		WithLabels(Labels(pool)).
		WithOwnerReferences(owner(pool)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithSelector(selector(pool)).
			WithMaxUnavailable(pool.Spec.Rollout.Unavailable()).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow))
}
