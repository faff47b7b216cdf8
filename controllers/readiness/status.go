package readiness

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
)

// Trouble is something that went wrong while the plan was made or carried out and that no retry mends.
type Trouble struct {
	Reason  string // a reason of v1alpha1.ConditionStalled
	Message string // a sentence that says what to do
}

// Status is the status of the pool after a pass. The plan may be nil if none could be made; then troubles say why.
func Status(o *plan.Observation, p *plan.Plan, troubles []Trouble) v1alpha1.ConnectionPoolStatus {
	v := view{Observation: o, plan: p, troubles: troubles, pods: reporting(o)}
	pool := o.Pool
	s := v1alpha1.ConnectionPoolStatus{
		ObservedGeneration: pool.Generation,
		Selector:           pool.Selector(),
		Address:            address(pool),
		Replicas:           new(int32),
		ReadyReplicas:      new(int32),
		SyncedReplicas:     new(v.synced()),
		Observation: v1alpha1.Observation{
			Time:              metav1.NewTime(o.Now.Truncate(time.Second)),
			WindowSeconds:     v.window(),
			ReportingReplicas: new(int32(len(v.pods))),
		},
		Connections: v.counts(""),
	}
	if o.Deployment != nil {
		*s.Replicas = o.Deployment.Status.Replicas
		*s.ReadyReplicas = o.Deployment.Status.ReadyReplicas
	}
	for i := range pool.Spec.Destinations {
		s.Destinations = append(s.Destinations, v.destination(&pool.Spec.Destinations[i]))
	}
	v.status = &s
	v.conditions()
	return s
}

// view is what policies look at.
type view struct {
	*plan.Observation
	plan     *plan.Plan // nil if none could be made
	troubles []Trouble
	pods     []plan.Pod // that report
	status   *v1alpha1.ConnectionPoolStatus
}

// reporting are the pods whose states count, in order of UID so that the same observation says the same.
func reporting(o *plan.Observation) []plan.Pod {
	var pods []plan.Pod
	for _, p := range o.Pods {
		if p.Reports(o.Now) {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b plan.Pod) int {
		if a.UID < b.UID {
			return -1
		}
		return 1
	})
	return pods
}

// synced is the number of pods that said they run this generation.
func (v view) synced() int32 {
	var n int32
	for _, p := range v.pods {
		if !p.Terminating && p.State.Generation >= v.Pool.Generation {
			n++
		}
	}
	return n
}

// window is the longest span that the pods' numbers cover.
func (v view) window() int32 {
	var seconds int32
	for _, p := range v.pods {
		seconds = max(seconds, p.State.WindowSeconds)
	}
	return min(seconds, 3600)
}

// conditions writes the conditions of the pool over those that it had, so that a condition that stays keeps its time.
func (v view) conditions() {
	v.status.Conditions = slices.Clone(v.Pool.Status.Conditions)
	stalled := v.stalled()
	v.set(v1alpha1.ConditionAvailable, v.available())
	v.set(v1alpha1.ConditionConfigSynced, v.configSynced())
	v.set(v1alpha1.ConditionSaturated, v.saturated())
	v.set(v1alpha1.ConditionReady, v.ready(stalled))
	v.setOrRemove(&v.status.Conditions, v1alpha1.ConditionHeld, v.held())
	v.setWhile(v1alpha1.ConditionSizesIgnored, v.sizesIgnored())
	v.setWhile(v1alpha1.ConditionStalled, stalled)
	if stalled.Status == metav1.ConditionTrue {
		v.setWhile(v1alpha1.ConditionReconciling, verdict{})
	} else {
		v.setWhile(v1alpha1.ConditionReconciling, v.reconciling())
	}
}

func (v view) set(kind string, a verdict) {
	meta.SetStatusCondition(&v.status.Conditions, v.condition(kind, a))
}

// setWhile keeps a condition only while it is True.
func (v view) setWhile(kind string, a verdict) {
	if a.Status == metav1.ConditionTrue {
		v.set(kind, a)
		return
	}
	meta.RemoveStatusCondition(&v.status.Conditions, kind)
}

// setOrRemove keeps a condition only while there is something to say.
func (v view) setOrRemove(conditions *[]metav1.Condition, kind string, a verdict) {
	if a == (verdict{}) {
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	meta.SetStatusCondition(conditions, v.condition(kind, a))
}

func (v view) condition(kind string, a verdict) metav1.Condition {
	return metav1.Condition{
		Type:               kind,
		Status:             a.Status,
		Reason:             a.Reason,
		Message:            a.Message,
		ObservedGeneration: v.Pool.Generation,
		LastTransitionTime: metav1.NewTime(v.Now.Truncate(time.Second)),
	}
}

// address is where clients connect.
func address(pool *v1alpha1.ConnectionPool) string {
	host := fmt.Sprintf("%s.%s.svc", pool.ServiceName(), pool.Namespace)
	if len(pool.Spec.Destinations) == 1 {
		return fmt.Sprintf("%s:%d", host, pool.Spec.Destinations[0].Port())
	}
	return host
}
