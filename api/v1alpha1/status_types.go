package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ConnectionPoolStatus is the observed state of a ConnectionPool.
// +kubebuilder:validation:MinProperties=1
type ConnectionPoolStatus struct {
	// conditions are Ready, Available, ConfigSynced, Saturated; while they are True Reconciling, Stalled and SizesIgnored; and Held while
	// a destination has a stopPolicy.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the rest of the status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// selector is the label selector of the pods in string form, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Selector string `json:"selector,omitempty"`

	// address is the host of the pool's Service, with the port when there is only one destination.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Address string `json:"address,omitempty"`

	// replicas is the number of pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// readyReplicas is the number of pods that are ready to serve clients.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`

	// syncedReplicas is the number of pods that said they run the configuration of observedGeneration.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SyncedReplicas *int32 `json:"syncedReplicas,omitempty"`

	// observation says when and from how many pods the numbers below were gathered.
	// +optional
	Observation Observation `json:"observation,omitempty,omitzero"`

	// connections sums the connections of the destinations.
	// +optional
	Connections ConnectionCounts `json:"connections,omitempty,omitzero"`

	// destinations are the numbers of each destination, as an autoscaler or a person needs them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Destinations []DestinationStatus `json:"destinations,omitempty"`
}

// Observation says when and from how many pods numbers were gathered.
// +kubebuilder:validation:MinProperties=1
type Observation struct {
	// time is when the numbers were gathered.
	// +optional
	Time metav1.Time `json:"time,omitempty,omitzero"`

	// windowSeconds is the span that peaks, waits and timeouts cover.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	WindowSeconds int32 `json:"windowSeconds,omitempty"`

	// reportingReplicas is the number of pods whose numbers are counted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReportingReplicas *int32 `json:"reportingReplicas,omitempty"`
}

// ConnectionCounts counts connections to databases at one moment.
// +kubebuilder:validation:MinProperties=1
type ConnectionCounts struct {
	// limit is the most connections that the pods may open now; it trails maxOpen while shares move between pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Limit *int32 `json:"limit,omitempty"`

	// open is the number of connections, those being opened and closed included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Open *int32 `json:"open,omitempty"`

	// inUse is the number of connections lent to clients.
	// +optional
	// +kubebuilder:validation:Minimum=0
	InUse *int32 `json:"inUse,omitempty"`

	// waiting is the number of clients that wait for a connection.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Waiting *int32 `json:"waiting,omitempty"`
}

// DestinationStatus is the observed state of one destination.
type DestinationStatus struct {
	// name is the name of the destination.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// conditions are Reachable, Saturated, Held while the destination has a stopPolicy, and Autoscaled while it has
	// limits.autoscale.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// maxOpen is the most connections that the pool may have now: limits.maxOpen, or less because of a size or of
	// limits.autoscale.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxOpen *int32 `json:"maxOpen,omitempty"`

	// connections counts the connections now.
	// +optional
	Connections ConnectionCounts `json:"connections,omitempty,omitzero"`

	// peakInUse is the most connections in use during the window, summed over the pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PeakInUse *int32 `json:"peakInUse,omitempty"`

	// peakWaiting is the most clients that waited during the window, summed over the pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PeakWaiting *int32 `json:"peakWaiting,omitempty"`

	// utilizationPercent is peakInUse as a percentage of the limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	UtilizationPercent *int32 `json:"utilizationPercent,omitempty"`

	// acquireWaitP95Milliseconds is how long 95 of 100 clients waited at most for a connection during the window.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AcquireWaitP95Milliseconds *int32 `json:"acquireWaitP95Milliseconds,omitempty"`

	// acquireTimeouts is the number of clients that waited in vain during the window.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AcquireTimeouts *int32 `json:"acquireTimeouts,omitempty"`
}
