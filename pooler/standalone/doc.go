// Package standalone lets a pooler run without an operator: one file says what it serves.
//
//	file.yaml -- Read --> File -- Config --> podapi.Config -- push --> agent, as an operator would
//	    |                  |
//	    Invalid: line,     Secrets: from the file, or from files that it names
//	    field, what to do
//
// # Decisions
//
//   - The file is what the operator would write, in the same words: a destination is a podapi.Destination, and what a pod's
//     share holds stands among its limits. So each setting that pods have can be written here, with no list to keep in step.
//   - What are Secrets in Kubernetes are texts, files or variables of the environment here. They are read again every two
//     seconds, as in a pod.
//   - The file is strict: what is not known is refused, with its line and what may have been meant. All that is wrong is told at
//     once.
//   - A file that has become wrong changes nothing: what was served is served on, and the log says what is wrong.
//   - It listens on the loopback address unless the file says otherwise.
package standalone
