// Package envtest holds the operator's tests against a real API server.
//
// The operator runs with the rights of config/rbac and nothing more. No other controller runs: tests play the Deployment
// controller (its status), the EndpointSlice controller and the garbage collector; pods are those of package podtest.
// After each test everything must stand still: an operator that keeps writing when nothing changes fails.
package envtest
