package plan

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/desired"
	"github.com/weir-dev/weir/pooler/podapi"
)

// Observation is what one pass knows of a pool.
type Observation struct {
	Pool *v1alpha1.ConnectionPool

	// Document is what the pool's ConfigMap holds; zero if there is none, or if it cannot be read.
	Document Document

	// Deployment is the pool's own; nil if there is none.
	Deployment *appsv1.Deployment

	// PodsKnown says that the EndpointSlices of the pool's own Service were listed, so that a pod that is not among Pods
	// is gone.
	PodsKnown bool
	Pods      []Pod

	ClientCA string // PEM, of the operator's control CA
	Image    string // of pools that name none

	Now    time.Time
	Vanish time.Duration // how long the charge of a pod that is gone is held
}

// Pod is a pod of the pool, as the EndpointSlices and its own last answer show it.
type Pod struct {
	UID         string
	Name        string
	Address     string // IP
	Ready       bool   // takes new clients
	Terminating bool

	State      *podapi.State // the last one; nil if the pod never answered this operator
	AnsweredAt time.Time     // when it answered with State
	Silent     bool          // it did not answer when it was last asked
}

// StaleAfter is the age at which a state is not counted as present any more: three polls.
const StaleAfter = 3 * Slow

// Reports says whether the pod's state counts as present.
func (p Pod) Reports(now time.Time) bool {
	return p.State != nil && now.Sub(p.AnsweredAt) < StaleAfter
}

// At is what the pod said last about a destination, or nil.
func (p Pod) At(destination string) *podapi.DestinationState {
	if p.State == nil {
		return nil
	}
	for i := range p.State.Destinations {
		if p.State.Destinations[i].Name == destination {
			return &p.State.Destinations[i]
		}
	}
	return nil
}

// Live is what the pool's Deployment runs.
func (o *Observation) live() desired.Live {
	if o.Deployment == nil {
		return desired.Live{}
	}
	live := desired.Live{TemplateHash: o.Deployment.Annotations[v1alpha1.AnnotationTemplateHash]}
	for _, c := range o.Deployment.Spec.Template.Spec.Containers {
		if c.Name == desired.ContainerName {
			live.Image = c.Image
		}
	}
	return live
}

// RolledOut says whether the Deployment has done what it was told.
func RolledOut(d *appsv1.Deployment) bool {
	if d == nil || d.Status.ObservedGeneration < d.Generation {
		return false
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	return d.Status.Replicas == want && d.Status.UpdatedReplicas == want && d.Status.ReadyReplicas == want
}
