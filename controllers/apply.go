package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// createOnly is a resourceVersion that no object has: applying with it creates the object or fails with a conflict.
const createOnly = "1"

// Clash is the error of a child whose name is taken by an object that the pool does not control.
type Clash struct {
	Kind, Name string
	Holder     string // who controls it; empty: nobody
}

func (c *Clash) Error() string {
	if c.Holder == "" {
		return fmt.Sprintf("%s %q exists and was not made for this pool: rename the pool, or remove the %s", c.Kind, c.Name, c.Kind)
	}
	return fmt.Sprintf("%s %q belongs to %s: rename the pool, or remove the %s", c.Kind, c.Name, c.Holder, c.Kind)
}

// errLeaving says that an object of this name is on its way out: of a pool of the same name that was deleted, or deleted by
// somebody. It is made again when it is gone.
var errLeaving = errors.New("an object of this name is still being deleted")

// errChanged says that an object is not what the cache showed. The next pass sees it as it is.
var errChanged = errors.New("the object has changed meanwhile")

// applier writes the children of pools by server-side apply. It refuses objects that the pool does not control, and skips
// what would change nothing.
type applier struct {
	client client.Client // writes
	direct client.Reader // reads past the cache
}

// apply makes a child what desired says. Live is the child as the cache shows it, or nil. With a version, only that version
// is overwritten (createOnly: none); without, any. The result is the child as the API server has it, unless there was
// nothing to do: then it is nil.
func (a *applier) apply(ctx context.Context, pool *v1alpha1.ConnectionPool, known *remembered, desired runtime.ApplyConfiguration, live client.Object, version string) (*unstructured.Unstructured, error) {
	object, err := encode(desired)
	if err != nil {
		return nil, err
	}
	if live == nil {
		if live, err = a.look(ctx, object); err != nil {
			return nil, describe(object, "read", err)
		}
	}
	if live != nil {
		if err := mayWrite(pool, object, live); err != nil {
			return nil, err
		}
		if nothing, err := known.nothingToDo(object, live); nothing || err != nil {
			return nil, err
		}
	}
	hash := hashIn(object)
	precondition(object, live, version)
	if err := a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(v1alpha1.FieldOwner), client.ForceOwnership); err != nil {
		return nil, describe(object, "apply", err)
	}
	known.applied[object.GetKind()] = applied{object.GetUID(), hash, object.GetResourceVersion()}
	return object, nil
}

// encode turns an apply configuration into what is sent: with its own hash.
func encode(desired runtime.ApplyConfiguration) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(desired)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", desired, err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("encode %T: %w", desired, err)
	}
	sum := sha256.Sum256(text)
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationApplied] = hex.EncodeToString(sum[:16])
	object.SetAnnotations(annotations)
	return object, nil
}

func hashIn(object client.Object) string { return object.GetAnnotations()[v1alpha1.AnnotationApplied] }

// look reads a child that the cache does not have past the cache: the cache holds only what carries the labels of pools, and
// may lag. It is nil when there is none.
func (a *applier) look(ctx context.Context, object *unstructured.Unstructured) (client.Object, error) {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	err := a.direct.Get(ctx, client.ObjectKeyFromObject(object), live)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return live, nil
}

// mayWrite is nil when the pool controls the child.
func mayWrite(pool *v1alpha1.ConnectionPool, object *unstructured.Unstructured, live client.Object) error {
	holder := metav1.GetControllerOf(live)
	switch {
	case holder != nil && holder.UID == pool.UID && live.GetDeletionTimestamp().IsZero():
		return nil
	case holder != nil && holder.UID == pool.UID,
		holder != nil && holder.Kind == v1alpha1.ConnectionPoolKind && holder.Name == pool.Name: // an earlier pool of this name
		return describe(object, "wait for", errLeaving)
	case holder != nil:
		return &Clash{Kind: object.GetKind(), Name: object.GetName(), Holder: fmt.Sprintf("%s %q", holder.Kind, holder.Name)}
	default:
		return &Clash{Kind: object.GetKind(), Name: object.GetName()}
	}
}

// precondition lets an apply succeed only on the object that was looked at: none, or the one of that UID, and only on the
// version if there is one.
func precondition(object *unstructured.Unstructured, live client.Object, version string) {
	if live == nil {
		version = createOnly
	} else {
		object.SetUID(live.GetUID())
	}
	if version != "" {
		object.SetResourceVersion(version)
	}
}

// describe wraps an error with what was being done, and makes one error of the ways in which the API server says that an
// object is another than the one that was looked at.
func describe(object *unstructured.Unstructured, doing string, err error) error {
	if apierrors.IsConflict(err) || isOtherUID(err) {
		err = errChanged
	}
	return fmt.Errorf("%s %s %q: %w", doing, object.GetKind(), object.GetName(), err)
}

// isOtherUID says that an object of the same name has taken the place of the one that was looked at.
func isOtherUID(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == "metadata.uid" {
			return true
		}
	}
	return false
}
