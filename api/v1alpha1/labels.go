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

	// AnnotationTemplateHash on the Deployment holds a hash of the pod template without the image that the operator
	// chose: while it is the same, a new operator leaves the image, and so the pods, as they are.
	AnnotationTemplateHash = "weir.dev/template-hash"

	// AnnotationApplied on every child of a pool holds a hash of what the operator last applied to it: while it is the same
	// and the child still is so, a new operator writes nothing.
	AnnotationApplied = "weir.dev/applied"
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

// ServiceName is the name of the pool's Service.
func (p *ConnectionPool) ServiceName() string { return p.Name }

// ChildName is the name of the pool's Deployment, ConfigMap and PodDisruptionBudget.
func (p *ConnectionPool) ChildName() string { return p.Name + "-pooler" }
