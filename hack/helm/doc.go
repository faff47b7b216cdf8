// Package helm checks that the helm chart and config/default install the same, and pins the helm that the tests use.
//
// It is a module of its own, so that the product does not depend on helm.
package helm
