package desired

import (
	"maps"

	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// Labels are those of every object of a pool.
func Labels(pool *v1alpha1.ConnectionPool) map[string]string {
	labels := map[string]string{
		v1alpha1.LabelName:      v1alpha1.AppName,
		v1alpha1.LabelInstance:  pool.Name,
		v1alpha1.LabelComponent: v1alpha1.AppComponent,
		v1alpha1.LabelManagedBy: v1alpha1.AppManager,
	}
	maps.Copy(labels, pool.PodLabels())
	return labels
}

// owner makes the pool the controller of an object.
func owner(pool *v1alpha1.ConnectionPool) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(v1alpha1.ConnectionPoolKind).
		WithName(pool.Name).
		WithUID(pool.UID).
		WithController(true)
}

func selector(pool *v1alpha1.ConnectionPool) *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(pool.PodLabels())
}
