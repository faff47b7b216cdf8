package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is weir.dev/v1alpha1.
	GroupVersion = schema.GroupVersion{Group: "weir.dev", Version: "v1alpha1"}

	// SchemeGroupVersion is GroupVersion by the name that generated code uses.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects what AddToScheme adds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this group to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

// ConnectionPoolKind is the kind of the ConnectionPool.
const ConnectionPoolKind = "ConnectionPool"

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &ConnectionPool{}, &ConnectionPoolList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
