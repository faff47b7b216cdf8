// Package controlca keeps the control CA: the authority by which pooler pods know the operator.
//
//	Secret weir-control-ca (operator's namespace)        ClientCA in every pool's ConfigMap
//	  ca.crt, tls.key  --Ensure-->  Authority  --PEM-->  what pods trust
//	                                    |
//	                                    +--ClientCertificate-->  what the operator shows to pods; in memory only
//
// Decisions
//   - One CA for all pools: it says "this is the operator" and nothing else. Pods accept configuration from nobody else.
//   - The Secret is made on first start by whichever replica comes first; the others read what it made.
//   - The client certificate lives for a day, in memory, and is renewed when a third of that is left.
//   - The CA lives for ten years. An operator that finds less than a year left issues it anew with the same key, so that
//     pods which still have the old certificate know the operator's new ones.
//   - Who suspects the key deletes the Secret and restarts the operator: a new CA is made and reaches the pods with their
//     ConfigMap.
package controlca
