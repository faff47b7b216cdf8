package plan

import (
	"fmt"
	"time"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/controllers/desired"
	"github.com/weir-dev/weir/pooler/podapi"
)

// How soon a pool is looked at again.
const (
	Slow = 10 * time.Second // when all is still
	Fast = 1 * time.Second  // while shares move, pods come and go, or pods lag
)

// Plan is what one pass should do.
type Plan struct {
	Document Document
	Limits   map[string]int32  // the most connections that the pool may have of each destination
	Data     map[string]string // of the ConfigMap; Data[podapi.ConfigKey] is what is pushed
	Write    bool              // the ConfigMap does not hold Data yet

	// Lagging are the UIDs of the pods to push to: those named in Document.Config that have not said that they run it.
	// A pod that is not named yet is only asked for its state.
	Lagging []string

	ConfigMap           *corev1ac.ConfigMapApplyConfiguration
	Deployment          *appsv1ac.DeploymentApplyConfiguration
	Service             *corev1ac.ServiceApplyConfiguration
	PodDisruptionBudget *policyv1ac.PodDisruptionBudgetApplyConfiguration

	Requeue time.Duration
}

// Make makes the plan. Its error is ErrTooLarge, or says which part of the spec cannot be rendered; no retry mends it.
func Make(o *Observation) (*Plan, error) {
	p := &Plan{}
	if err := p.document(o); err != nil {
		return nil, err
	}
	deployment, err := desired.Deployment(o.Pool, o.Image, o.live())
	if err != nil {
		return nil, fmt.Errorf("render the Deployment: %w", err)
	}
	p.ConfigMap = desired.ConfigMap(o.Pool, p.Data)
	p.Deployment = deployment
	p.Service = desired.Service(o.Pool)
	p.PodDisruptionBudget = desired.PodDisruptionBudget(o.Pool)
	p.Lagging = lagging(o, p.Document.Config)
	p.Requeue = requeue(o, p)
	return p, nil
}

// document decides what the ConfigMap should hold.
func (p *Plan) document(o *Observation) error {
	old := o.Document
	limits, sizes := limits(o)
	next := Document{Ledger: nextLedger(o, limits), Sizes: sizes}
	next.Config = config(o, next.Ledger)
	same, err := sameConfig(old.Config, next.Config)
	if err != nil {
		return err
	}
	if !same && next.Ledger.Version == old.Ledger.Version {
		next.Ledger.Version++
		next.Config.Ledger++
	}
	before, err := old.Data()
	if err != nil {
		return err
	}
	p.Document, p.Limits = next, limits
	p.Data, err = next.Data()
	if err != nil {
		return err
	}
	p.Write = before[podapi.ConfigKey] != p.Data[podapi.ConfigKey] || before[LedgerKey] != p.Data[LedgerKey] || before[SizesKey] != p.Data[SizesKey]
	return nil
}

func nextLedger(o *Observation, limits map[string]int32) budget.Ledger {
	switch {
	case !o.PodsKnown && o.Document.Ledger.Version == 0:
		return budget.Begin(o.Now)
	case !o.PodsKnown:
		return o.Document.Ledger
	}
	pods := make([]budget.Pod, len(o.Pods))
	for i, p := range o.Pods {
		pods[i] = budget.Pod{UID: p.UID, Terminating: p.Terminating, State: p.State, Silent: p.Silent}
	}
	return budget.Next(o.Document.Ledger, pods, limits, o.Now, o.Vanish)
}

func lagging(o *Observation, c podapi.Config) []string {
	var uids []string
	for _, p := range o.Pods {
		if _, named := c.Shares[p.UID]; named && (p.State == nil || p.State.Ledger < c.Ledger) {
			uids = append(uids, p.UID)
		}
	}
	return uids
}

// requeue is Fast while something moves that only asking the pods again can show. A Deployment that rolls out shows
// itself: it is watched.
func requeue(o *Observation, p *Plan) time.Duration {
	if len(p.Lagging) > 0 || p.Document.Ledger.Moving() || growing(o, p) {
		return Fast
	}
	for i := range o.Pool.Spec.Destinations {
		switch o.Holding(&o.Pool.Spec.Destinations[i], p.Document.Ledger) {
		case HoldingPods, HoldingInUse, HoldingOpen:
			return Fast
		}
	}
	for _, pod := range o.Pods {
		if pod.Terminating || pod.State == nil {
			return Fast
		}
	}
	return Slow
}
