// Package v1alpha1 is the API group weir.dev: the ConnectionPool, its rules, conditions, labels and effective values.
//
// Decisions
//   - Conditions, never a phase. The status is defaulted to Ready=Unknown, so that `kubectl wait` is right before the
//     operator has looked.
//   - Durations are whole numbers with the unit in their name. A field is a pointer only where zero is a choice of its
//     own. Enums instead of bools, so that a third way can come.
//   - Few values are defaulted by the API server: what is left out stays out of the stored object, and "Unset means"
//     in a field's comment is answered by a method in defaults.go. So a new release may choose better without
//     fighting over fields with whoever applies the manifest.
//   - Rules are CEL in the CRD, no webhook. There is no rule that compares limits with replicas: it would run on
//     /scale and fail an autoscaler's write; the operator says Stalled/BudgetTooSmall instead.
//   - Secrets are references in the same namespace. Pods mount them; the operator never reads them.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=weir.dev
package v1alpha1
