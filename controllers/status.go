package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/readiness"
)

// writeStatus writes the status if it is worth it. It is written over the version that was read: a status that was made of
// something else is not true.
func (p *pass) writeStatus(ctx context.Context) error {
	status := readiness.Status(&p.observation, p.plan, p.troubles)
	now := p.Now()
	if !readiness.ShouldWrite(p.pool.Status, status, p.known.statusWrite, now) {
		return nil
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
