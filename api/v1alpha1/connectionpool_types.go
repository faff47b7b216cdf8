package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// +genclient
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=connectionpools,shortName=cpool,scope=Namespaced,categories=weir
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.spec.replicas`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="In-Use",type=integer,JSONPath=`.status.connections.inUse`
// +kubebuilder:printcolumn:name="Limit",type=integer,JSONPath=`.status.connections.limit`
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.connections.waiting`
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`
// +kubebuilder:printcolumn:name="Synced",type=integer,JSONPath=`.status.syncedReplicas`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name becomes the name of a Service: it must begin with a lower-case letter, hold only lower-case letters, digits and '-', and be at most 50 characters long"

// ConnectionPool runs pooler pods between clients and their databases.
type ConnectionPool struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The name becomes the name of the Service that clients connect to.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec ConnectionPoolSpec `json:"spec,omitempty,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status ConnectionPoolStatus `json:"status,omitempty,omitzero"`
}

// +kubebuilder:object:root=true

// ConnectionPoolList is a list of ConnectionPools.
type ConnectionPoolList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the ConnectionPools.
	Items []ConnectionPool `json:"items"`
}

// ConnectionPoolSpec is the desired state of a ConnectionPool.
// +kubebuilder:validation:XValidation:rule="self.destinations.all(d, self.destinations.exists_one(e, (has(e.listenPort) ? e.listenPort : 5432) == (has(d.listenPort) ? d.listenPort : 5432)))",message="listenPort must be unique among destinations; unset it is 5432"
// +kubebuilder:validation:XValidation:rule="self.destinations.all(d, !has(d.postgresql) || !has(d.postgresql.auth.method) || d.postgresql.auth.method != 'Certificate' || (has(self.listener) && has(self.listener.tls) && self.listener.tls.mode == 'Mutual'))",message="auth.method Certificate needs listener.tls.mode Mutual: otherwise clients show no certificate"
type ConnectionPoolSpec struct {
	// replicas is the number of pooler pods. Leave it out of applied manifests when a
	// HorizontalPodAutoscaler scales the pool, so that the autoscaler owns it.
	// +optional
	// +default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Replicas *int32 `json:"replicas,omitempty"`

	// destinations are the databases that clients reach through the pool, each on a port of its own.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Destinations []Destination `json:"destinations,omitempty"`

	// sizes lower the limits of destinations: an autoscaler writes them. The most connections to a destination are the
	// lower of its limits.maxOpen and its size. They are a list of their own, so that who applies a size owns nothing of the
	// destination. A size for a destination that is not there has no effect; the condition SizesIgnored names it.
	// +optional
	// +listType=map
	// +listMapKey=destination
	// +kubebuilder:validation:MaxItems=64
	Sizes []Size `json:"sizes,omitempty"`

	// listener is where clients connect.
	// +optional
	Listener Listener `json:"listener,omitempty,omitzero"`

	// rollout is how pods are replaced.
	// +optional
	Rollout Rollout `json:"rollout,omitempty,omitzero"`

	// template overrides parts of the pooler pods.
	// +optional
	Template PodOverrides `json:"template,omitempty,omitzero"`
}

// Size lowers the limit of a destination.
type Size struct {
	// destination is the name of the destination.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Destination string `json:"destination,omitempty"`

	// maxOpen is the most connections that the pool opens to the destination, if its limits.maxOpen is not lower.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxOpen int32 `json:"maxOpen,omitempty"`
}

// Listener is where clients connect.
// +kubebuilder:validation:MinProperties=1
type Listener struct {
	// serviceType is the type of the Service in front of the pods.
	// +optional
	// +default="ClusterIP"
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	ServiceType corev1.ServiceType `json:"serviceType,omitempty"`

	// tls is how the pods serve TLS to clients. Unset means that they do not.
	// +optional
	TLS ListenerTLS `json:"tls,omitempty,omitzero"`
}

// ListenerTLS is how the pods serve TLS to clients.
// +kubebuilder:validation:XValidation:rule="self.mode == 'Disabled' || has(self.secretRef)",message="secretRef is required unless mode is Disabled: it names the kubernetes.io/tls Secret that clients are shown"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Mutual' || has(self.clientCASecretRef)",message="clientCASecretRef is required when mode is Mutual: its ca.crt verifies the clients' certificates"
// +kubebuilder:validation:XValidation:rule="self.mode == 'Mutual' || !has(self.clientCASecretRef)",message="clientCASecretRef has an effect only when mode is Mutual"
type ListenerTLS struct {
	// mode is Disabled (plain connections only), Optional (the client chooses), Required (plain connections are
	// refused) or Mutual (Required, and clients show a certificate).
	// +required
	Mode ListenerTLSMode `json:"mode,omitempty"`

	// secretRef names a Secret with tls.crt and tls.key, such as one kept by cert-manager. Pods follow its changes
	// without a restart.
	// +optional
	SecretRef SecretReference `json:"secretRef,omitempty,omitzero"`

	// clientCASecretRef names a Secret whose ca.crt verifies the certificates of clients.
	// +optional
	ClientCASecretRef SecretReference `json:"clientCASecretRef,omitempty,omitzero"`
}

// ListenerTLSMode says how clients may connect.
// +kubebuilder:validation:Enum=Disabled;Optional;Required;Mutual
type ListenerTLSMode string

// Modes of TLS towards clients.
const (
	ListenerTLSDisabled ListenerTLSMode = "Disabled"
	ListenerTLSOptional ListenerTLSMode = "Optional"
	ListenerTLSRequired ListenerTLSMode = "Required"
	ListenerTLSMutual   ListenerTLSMode = "Mutual"
)

// SecretReference names a Secret in the namespace of the pool.
type SecretReference struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`
}

// Rollout is how pods are replaced.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && has(self.maxUnavailable) && string(self.maxSurge) in ['0', '0%'] && string(self.maxUnavailable) in ['0', '0%'])",message="maxSurge and maxUnavailable must not both be 0: no pod could ever be replaced"
type Rollout struct {
	// maxSurge is how many pods above replicas a rollout may add, as a number or a percentage. Unset means 25%.
	// While a destination's maxOpen is too small to give each of those pods a connection, pods are replaced one by
	// one without surge instead.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 100 : self.matches('^(100|[1-9]?[0-9])%$')",message="maxSurge must be a number from 0 to 100 or a percentage such as 25%"
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// maxUnavailable is how many pods may be away during a rollout or a voluntary disruption such as a node drain, as a
	// number or a percentage. Unset means 1 in a disruption, and in a rollout none for which no other has come, as far
	// as maxSurge allows.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 100 : self.matches('^(100|[1-9]?[0-9])%$')",message="maxUnavailable must be a number from 0 to 100 or a percentage such as 25%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// drainTimeoutSeconds is how long a leaving pod lets its clients finish their transactions before it closes them.
	// Unset means 60.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	DrainTimeoutSeconds int32 `json:"drainTimeoutSeconds,omitempty"`
}

// PodOverrides override parts of the pooler pods.
// +kubebuilder:validation:MinProperties=1
type PodOverrides struct {
	// image is the pooler image. Unset means the one that the operator was installed with when the pool was created.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// resources are the compute resources of the pooler container. Unset means requests of 100m CPU and 64Mi memory
	// and a limit of 512Mi memory.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// nodeSelector selects the nodes for the pods.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations are taints of nodes that the pods bear.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity says near to and far from what the pods are placed. Unset means that they prefer zones of their own, unless
	// topologySpreadConstraints say otherwise.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints replace the default spread over hosts and zones. One without a labelSelector counts
	// the pods of the pool.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName is the priority of the pods.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// labels are added to the pods. Those that the operator sets itself win.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are added to the pods. Those that the operator sets itself win.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]string `json:"annotations,omitempty"`
}
