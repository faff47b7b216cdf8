package v1alpha1

// Labels and annotations of the objects that the operator makes.
const (
	// LabelPool on every object of a pool holds the pool's name. Pods are selected by it.
	LabelPool = "weir.dev/pool"

	// LabelName, LabelInstance, LabelComponent and LabelManagedBy are the labels that Kubernetes recommends.
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelComponent = "app.kubernetes.io/component"
	LabelManagedBy = "app.kubernetes.io/managed-by"

	// AnnotationAppliedHash on a child holds a hash of what was last applied.
	AnnotationAppliedHash = "weir.dev/applied-hash"
)

// Values of the recommended labels.
const (
	AppName      = "weir"
	AppComponent = "pooler"
	AppManager   = "weir-operator"
)

// FieldOwner is the name under which the operator owns fields.
const FieldOwner = "weir"

// Ports that pods use for themselves.
const (
	HealthPort  = 9901
	ControlPort = 9902
)
