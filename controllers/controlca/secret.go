package controlca

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SecretName is the name of the Secret that holds the control CA, in the operator's namespace.
const SecretName = "weir-control-ca"

const (
	certificateKey = corev1.ServiceAccountRootCAKey // ca.crt
	privateKey     = corev1.TLSPrivateKeyKey        // tls.key
)

// attempts bounds how often Ensure starts over when replicas get in each other's way.
const attempts = 5

// Ensure reads the control CA from its Secret in the namespace, and makes it first if there is none. Several operators
// may call it at once: they end up with the same CA. The client must not read from a cache.
func Ensure(ctx context.Context, c client.Client, namespace string, now func() time.Time) (*Authority, error) {
	var err error
	for range attempts {
		var authority *Authority
		authority, err = ensureOnce(ctx, c, namespace, now)
		if err == nil {
			return authority, nil
		}
		if !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	return nil, fmt.Errorf("ensure Secret %s/%s: %w", namespace, SecretName, err)
}

func ensureOnce(ctx context.Context, c client.Client, namespace string, now func() time.Time) (*Authority, error) {
	secret := &corev1.Secret{}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: SecretName}, secret)
	if apierrors.IsNotFound(err) {
		return create(ctx, c, namespace, now)
	}
	if err != nil {
		return nil, err
	}
	authority, err := parse(secret.Data[certificateKey], secret.Data[privateKey], now)
	if err != nil {
		return nil, fmt.Errorf("it cannot be used (delete it and restart the operator to have a new one made): %w", err)
	}
	if !authority.expiresSoon() {
		return authority, nil
	}
	return renew(ctx, c, secret, authority)
}

// create makes a new CA. A replica that was faster makes it fail with AlreadyExists.
func create(ctx context.Context, c client.Client, namespace string, now func() time.Time) (*Authority, error) {
	authority, err := newAuthority(now)
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: SecretName},
		Type:       corev1.SecretTypeOpaque,
	}
	if err := fill(secret, authority); err != nil {
		return nil, err
	}
	if err := c.Create(ctx, secret); err != nil {
		return nil, err
	}
	return authority, nil
}

// renew issues the CA anew with its own key. A replica that was faster makes it fail with Conflict.
func renew(ctx context.Context, c client.Client, secret *corev1.Secret, old *Authority) (*Authority, error) {
	authority, err := certify(old.key, old.now)
	if err != nil {
		return nil, err
	}
	if err := fill(secret, authority); err != nil {
		return nil, err
	}
	if err := c.Update(ctx, secret); err != nil {
		return nil, err
	}
	return authority, nil
}

func fill(secret *corev1.Secret, authority *Authority) error {
	certificatePEM, keyPEM, err := authority.encode()
	if err != nil {
		return err
	}
	secret.Data = map[string][]byte{certificateKey: certificatePEM, privateKey: keyPEM}
	return nil
}
