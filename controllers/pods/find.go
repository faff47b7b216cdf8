package pods

import (
	"net/netip"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// Pod is a pooler pod as the EndpointSlices of its Service show it.
type Pod struct {
	UID         string
	Name        string
	Address     netip.Addr
	Ready       bool // takes new clients
	Serving     bool // passes its readiness probe, leaving or not
	Terminating bool // has been told to leave
}

// Find gathers the pods that the EndpointSlices name, in order of UID. A pod that is in several slices (a slice for
// each address family, or a move between two slices) is one Pod: it has the first address in order, IPv4 before IPv6,
// is Ready or Serving when one slice says so, and Terminating when one slice says so.
func Find(slicesOfService []discoveryv1.EndpointSlice) []Pod {
	byUID := map[string]Pod{}
	for i := range slicesOfService {
		for j := range slicesOfService[i].Endpoints {
			pod, ok := fromEndpoint(&slicesOfService[i].Endpoints[j])
			if !ok {
				continue
			}
			if known, seen := byUID[pod.UID]; seen {
				pod = merge(known, pod)
			}
			byUID[pod.UID] = pod
		}
	}
	found := make([]Pod, 0, len(byUID))
	for _, pod := range byUID {
		found = append(found, pod)
	}
	slices.SortFunc(found, func(a, b Pod) int { return strings.Compare(a.UID, b.UID) })
	return found
}

// fromEndpoint reads one endpoint. Unset conditions mean what the EndpointSlice API says: ready and serving are true,
// terminating is false.
func fromEndpoint(e *discoveryv1.Endpoint) (Pod, bool) {
	if e.TargetRef == nil || e.TargetRef.Kind != "Pod" || e.TargetRef.UID == "" || len(e.Addresses) == 0 {
		return Pod{}, false
	}
	address, err := netip.ParseAddr(e.Addresses[0])
	if err != nil {
		return Pod{}, false
	}
	ready := e.Conditions.Ready == nil || *e.Conditions.Ready
	serving := ready
	if e.Conditions.Serving != nil {
		serving = *e.Conditions.Serving
	}
	return Pod{
		UID:         string(e.TargetRef.UID),
		Name:        e.TargetRef.Name,
		Address:     address.Unmap(),
		Ready:       ready,
		Serving:     serving,
		Terminating: e.Conditions.Terminating != nil && *e.Conditions.Terminating,
	}, true
}

func merge(a, b Pod) Pod {
	if b.Address.Less(a.Address) { // netip orders IPv4 before IPv6
		a.Address = b.Address
	}
	a.Ready = a.Ready || b.Ready
	a.Serving = a.Serving || b.Serving
	a.Terminating = a.Terminating || b.Terminating
	return a
}
