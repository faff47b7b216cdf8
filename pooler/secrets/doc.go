// Package secrets reads the Secrets that are mounted into a pod, and keeps serving with what it last read well.
//
//	<directory>/app-users/..data -> ..2026_01_02_03     swapped by the kubelet when the Secret changes
//	<directory>/app-users/app    -> ..data/app          a file per key
//
// Decisions
//   - A Secret is read as one version: the ..data link is resolved once and all keys come from where it points.
//   - Secrets are mounted as optional, so one may be missing, or appear later. Nothing is watched: Store.Digest is
//     cheap enough to be asked every two seconds.
//   - A Secret that was read well and then cannot be read any more, or makes no sense any more, keeps its last good
//     content, and a Problem says so. A bad renewal of a certificate, or a Secret that is deleted to be made again, costs
//     clients nothing. Who wants a user out removes the key of that user.
//   - Each line of a password is a password, the newest first, so that one can be rotated: what makes Secrets (External
//     Secrets, Vault, a template) can put the previous version on a second line. A password cannot hold a newline.
//   - A value that does not change keeps its pointer, so that whoever uses it can see that nothing changed.
//   - No message holds a value.
package secrets
