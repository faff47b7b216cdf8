// Package config turns the bytes that the operator wrote into what an engine serves with.
//
//	bytes -- Parse --> podapi.Config -- Renderer.Render --> Destination     per destination, with its share
//	         |                          |
//	         Invalid: names the field   Problem: a Secret is missing or makes no sense
//
// Decisions
//   - A Config is accepted as a whole or not at all. Unknown fields are ignored, because an older pod serves a newer
//     operator; a version, protocol or mode that is not known is refused, because ignoring one would do the wrong thing.
//   - An error names the field as it is called in the document, and says what is allowed. All errors of a document are
//     told together, up to a bound.
//   - Names of Secrets become paths, so only names that Kubernetes allows get through.
//   - A destination is rendered whole or not at all. What keeps it from being rendered is a Problem for a person, not an
//     error: a Secret may appear later.
//   - Users whose passwords the method of authentication has no use for are left out, and a Problem says so: the others
//     are served.
//   - The same Secrets give the same *tls.Config, so that an engine can see by the pointer whether TLS changed.
package config
