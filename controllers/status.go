package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/readiness"
)

// writeStatus writes the status if it is worth it. It is written over the version that was read: a status that was made of
// something else is not true.
func (p *pass) writeStatus(ctx context.Context) error {
	status := readiness.Status(&p.observation, p.plan, p.troubles)
	now := p.Now()
	if p.listens(now) || !readiness.ShouldWrite(p.pool.Status, status, p.known.statusWrite, now) {
		return nil
	}
	if !readiness.Differs(p.pool.Status, status) {
		ctx = patient(ctx)
	}
	updated := p.pool.DeepCopy()
	updated.Status = status
	err := p.Client.Status().Update(ctx, updated, client.FieldOwner(v1alpha1.FieldOwner))
	switch {
	case apierrors.IsNotFound(err): // the pool is gone
		return nil
	case apierrors.IsConflict(err):
		return fmt.Errorf("write the status: %w", errChanged)
	case err != nil:
		return fmt.Errorf("write the status: %w", err)
	}
	p.known.statusWrite = now
	p.announce(p.pool.Status, status)
	return nil
}

// listens says that this operator has yet to hear some pods of a pool that it took over. Until it has, or has had the time to, what
// the operator before it wrote stands: a pool that is well is not to look unwell because its operator is new.
func (p *pass) listens(now time.Time) bool {
	unheard := func(pod plan.Pod) bool { return pod.State == nil }
	return now.Sub(p.known.tookOver) < plan.StaleAfter && slices.ContainsFunc(p.observation.Pods, unheard) &&
		len(p.troubles) == 0 && p.pool.Status.ObservedGeneration == p.pool.Generation
}
