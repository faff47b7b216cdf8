//go:build !poolcheck

package pool

// proof is what check remembers of a pool or group.
type proof struct{} //nolint:unused // by the other build

// check proves the group's state at each unlock when built with the tag poolcheck.
func (g *group[C]) check() {}
