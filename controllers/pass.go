package controllers

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/pods"
	"github.com/weir-dev/weir/controllers/readiness"
)

// pass is one pass over one pool.
type pass struct {
	*Reconciler
	pool  *v1alpha1.ConnectionPool
	known *remembered

	// The children as the cache shows them, whoever controls them; nil when there is none.
	service    *corev1.Service
	configMap  *corev1.ConfigMap
	deployment *appsv1.Deployment
	disruption *policyv1.PodDisruptionBudget
	pods       []pods.Pod

	observation plan.Observation
	plan        *plan.Plan
	pushed      bool                // some pod took a push
	troubles    []readiness.Trouble // what no retry mends
}

// run goes through the phases. Whatever goes wrong after observing, the status is written.
func (p *pass) run(ctx context.Context) error {
	if err := p.observe(ctx); err != nil {
		return err
	}
	made, err := plan.Make(&p.observation)
	if err != nil {
		p.trouble(reasonOfPlan(err), err)
		if unwritten := p.writeStatus(ctx); unwritten != nil {
			return unwritten
		}
		return reconcile.TerminalError(err)
	}
	p.plan = made
	err = p.carryOut(ctx)
	return errors.Join(err, p.writeStatus(ctx))
}

func reasonOfPlan(err error) string {
	if errors.Is(err, plan.ErrTooLarge) {
		return v1alpha1.ReasonConfigTooLarge
	}
	return v1alpha1.ReasonApplyFailed
}

// carryOut makes the plan true. The Service comes first: without it nobody could reach the pods, and they could not be found.
func (p *pass) carryOut(ctx context.Context) error {
	if err := p.applyChild(ctx, p.plan.Service, orNil(p.service)); err != nil {
		return err
	}
	if len(p.troubles) > 0 && p.observation.Deployment == nil {
		return nil
	}
	held, err := p.applyConfig(ctx)
	if err != nil || !held {
		return err
	}
	p.push(ctx)
	return p.applyWorkload(ctx)
}

// applyConfig writes the ConfigMap over the version that the plan was made of; only then may it be pushed.
func (p *pass) applyConfig(ctx context.Context) (held bool, err error) {
	object, err := p.applier.apply(ctx, p.pool, p.known, p.plan.ConfigMap, orNil(p.configMap), p.madeOf())
	switch {
	case errors.Is(err, errChanged):
		p.known.reread = true
		return false, err
	case err != nil:
		return false, p.troubleOr(err)
	case object != nil:
		p.known.wrote(p.plan.Document, object.GetResourceVersion())
	}
	return true, nil
}

// madeOf is the version of the ConfigMap that the plan was made of.
func (p *pass) madeOf() string {
	switch {
	case p.configMap == nil:
		return createOnly
	case p.known.remembers(p.configMap):
		return p.known.version
	default:
		return p.configMap.ResourceVersion
	}
}

// applyWorkload writes what runs the pods and what guards them.
func (p *pass) applyWorkload(ctx context.Context) error {
	return errors.Join(
		p.applyChild(ctx, p.plan.Deployment, orNil(p.deployment)),
		p.applyChild(ctx, p.plan.PodDisruptionBudget, orNil(p.disruption)),
	)
}

// applyChild writes a child of which any version may be overwritten.
func (p *pass) applyChild(ctx context.Context, desired runtime.ApplyConfiguration, live client.Object) error {
	if _, err := p.applier.apply(ctx, p.pool, p.known, desired, live, ""); err != nil {
		return p.troubleOr(err)
	}
	return nil
}

// troubleOr notes an error that no retry mends, and returns any other.
func (p *pass) troubleOr(err error) error {
	var clash *Clash
	switch {
	case errors.As(err, &clash):
		p.trouble(v1alpha1.ReasonNameClash, clash)
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err):
		p.trouble(v1alpha1.ReasonApplyFailed, fmt.Errorf("the API server refuses what the pool needs: %w", err))
	default:
		return err
	}
	return nil
}

func (p *pass) trouble(reason string, err error) {
	p.troubles = append(p.troubles, readiness.Trouble{Reason: reason, Message: err.Error()})
}

// key is the name of the pool for those who keep something for each.
func (p *pass) key() string { return client.ObjectKeyFromObject(p.pool).String() }

// orNil is an object, or nil for a nil pointer.
func orNil[T any, P interface {
	*T
	client.Object
}](object P) client.Object {
	if object == nil {
		return nil
	}
	return object
}
