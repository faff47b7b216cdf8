package readiness

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/pooler/podapi"
)

// ready sums up.
func (v view) ready(stalled verdict) verdict {
	return first(yes(v1alpha1.ReasonReady, "the pool serves clients as its spec says"),
		func() verdict {
			if stalled.Status == metav1.ConditionTrue {
				return no(stalled.Reason, stalled.Message)
			}
			return verdict{}
		},
		func() verdict { return unlessTrue(v.available()) },
		v.onHold,
		v.allReachable,
		v.allUsersFound,
		func() verdict { return unlessTrue(v.configSynced()) },
	)
}

func unlessTrue(a verdict) verdict {
	if a.Status == metav1.ConditionTrue {
		return verdict{}
	}
	return a
}

// allReachable objects when a destination is not reachable, with what is known to be wrong before what is not known.
func (v view) allReachable() verdict {
	var open verdict
	for i := range v.Pool.Spec.Destinations {
		name := v.Pool.Spec.Destinations[i].Name
		a := v.reachable(name)
		a.Message = fmt.Sprintf("destination %q: %s", name, a.Message)
		switch {
		case a.Status == metav1.ConditionFalse:
			return a
		case a.Status == metav1.ConditionUnknown && open == (verdict{}):
			open = a
		}
	}
	return open
}

// allUsersFound objects when users cannot be looked up on some destination.
func (v view) allUsersFound() verdict {
	for i := range v.Pool.Spec.Destinations {
		d := &v.Pool.Spec.Destinations[i]
		if a := v.usersFoundAt(d); a.Status == metav1.ConditionFalse {
			a.Message = fmt.Sprintf("destination %q: %s", d.Name, a.Message)
			return a
		}
	}
	return verdict{}
}

// stalled is True while nothing moves on until a person changes something.
func (v view) stalled() verdict {
	return first(verdict{}, v.troubled, v.budgetTooSmall, v.podProblem, v.rolloutStuck)
}

func (v view) troubled() verdict {
	if len(v.troubles) == 0 {
		return verdict{}
	}
	return yes(v.troubles[0].Reason, message(v.troubles[0].Message))
}

// budgetTooSmall objects when some pod can never have a connection.
func (v view) budgetTooSmall() verdict {
	for i := range v.Pool.Spec.Destinations {
		d := &v.Pool.Spec.Destinations[i]
		if most := v.Pool.Spec.MaxOpen(d); most < v.Pool.Replicas() {
			return yes(v1alpha1.ReasonBudgetTooSmall, fmt.Sprintf(
				"destination %q has fewer connections (maxOpen %d, by its limits or a size) than there are pods (replicas %d), so some pods cannot serve: raise maxOpen or lower replicas",
				d.Name, most, v.Pool.Replicas()))
		}
	}
	return verdict{}
}

// stallingProblems are those problems of pods that a person has to mend.
var stallingProblems = map[string]string{
	podapi.ReasonSecretMissing: v1alpha1.ReasonSecretMissing,
	podapi.ReasonSecretInvalid: v1alpha1.ReasonSecretInvalid,
	podapi.ReasonListenFailed:  v1alpha1.ReasonListenFailed,
}

func (v view) podProblem() verdict {
	for _, p := range v.pods {
		if p.Terminating {
			continue
		}
		for _, problem := range p.State.Problems {
			reason, known := stallingProblems[problem.Reason]
			if !known {
				continue
			}
			text := problem.Message
			if problem.Destination != "" {
				text = fmt.Sprintf("destination %q: %s", problem.Destination, text)
			}
			return yes(reason, message(text))
		}
	}
	return verdict{}
}

func (v view) rolloutStuck() verdict {
	if v.Deployment == nil || v.Deployment.Status.ObservedGeneration < v.Deployment.Generation {
		return verdict{}
	}
	for _, c := range v.Deployment.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			return yes(v1alpha1.ReasonRolloutStuck, message("pods cannot be created: "+c.Message))
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse:
			return yes(v1alpha1.ReasonRolloutStuck, fmt.Sprintf(
				"the rollout makes no progress; see why with: kubectl -n %s describe pods -l %s", v.Pool.Namespace, v.Pool.Selector()))
		}
	}
	return verdict{}
}

// reconciling is True while the operator or the pods work towards the spec.
func (v view) reconciling() verdict {
	return first(verdict{}, v.rollingOut, v.syncing, v.movingShares)
}

func (v view) rollingOut() verdict {
	if d := v.Deployment; !plan.RolledOut(d) || d.Spec.Replicas == nil || *d.Spec.Replicas != v.Pool.Replicas() {
		return yes(v1alpha1.ReasonRollingOut, "pods are being added, replaced or removed")
	}
	return verdict{}
}

func (v view) syncing() verdict {
	for _, p := range v.Pods {
		if !p.Terminating && (p.State == nil || p.State.Generation < v.Pool.Generation) {
			return yes(v1alpha1.ReasonSyncing, "pods have yet to take over the configuration")
		}
	}
	return verdict{}
}

func (v view) movingShares() verdict {
	if v.plan != nil && v.plan.Document.Ledger.Moving() {
		return yes(v1alpha1.ReasonMovingShares, "connections move from pod to pod; those that have too many let go first")
	}
	return verdict{}
}

// available says whether enough pods serve.
func (v view) available() verdict {
	want, ready := v.Pool.Replicas(), *v.status.ReadyReplicas
	away := v.Pool.Spec.Rollout.Unavailable()
	unavailable, err := intstr.GetScaledValueFromIntOrPercent(&away, int(want), false)
	if err != nil {
		unavailable = 0
	}
	enough := max(want-int32(unavailable), 1)
	switch {
	case want == 0:
		return no(v1alpha1.ReasonScaledToZero, "replicas is 0: nobody is served")
	case ready == 0:
		return no(v1alpha1.ReasonNoPods, "no pod is ready to serve clients")
	case ready < enough:
		return no(v1alpha1.ReasonTooFewPods, fmt.Sprintf("%d of %d pods are ready, at least %d should be", ready, want, enough))
	default:
		return yes(v1alpha1.ReasonEnoughPods, "enough pods serve clients")
	}
}

// configSynced says whether every ready pod said that it runs this generation.
func (v view) configSynced() verdict {
	var ready, silent, behind int
	for _, p := range v.Pods {
		switch {
		case !p.Ready || p.Terminating:
			continue
		case !p.Reports(v.Now):
			silent++
		case p.State.Generation < v.Pool.Generation:
			behind++
		}
		ready++
	}
	switch {
	case ready == 0:
		return unknown(v1alpha1.ReasonNoPods, "no pod is ready")
	case behind > 0:
		return no(v1alpha1.ReasonPodsLag, fmt.Sprintf("%d of %d ready pods run an older configuration", behind, ready))
	case silent > 0:
		return no(v1alpha1.ReasonPodsSilent, fmt.Sprintf("%d of %d ready pods do not answer the operator on port %d: does a NetworkPolicy keep it out?", silent, ready, v1alpha1.ControlPort))
	default:
		return yes(v1alpha1.ReasonAllPodsSynced, "every ready pod runs this configuration")
	}
}

// saturated says whether some destination is.
func (v view) saturated() verdict {
	if len(v.pods) == 0 {
		return unknown(v1alpha1.ReasonNoReports, "no pod has reported yet")
	}
	for i := range v.Pool.Spec.Destinations {
		name := v.Pool.Spec.Destinations[i].Name
		if a := v.saturatedAt(name); a.Status == metav1.ConditionTrue {
			a.Message = fmt.Sprintf("destination %q: %s", name, a.Message)
			return a
		}
	}
	return no(v1alpha1.ReasonConnectionsLeft, "every destination has connections left")
}
