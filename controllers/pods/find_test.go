package pods

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

func endpoint(uid, address string, conditions discoveryv1.EndpointConditions) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses:  []string{address},
		Conditions: conditions,
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: "pod-" + uid, UID: types.UID(uid)},
	}
}

func slice(endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
	return discoveryv1.EndpointSlice{Endpoints: endpoints}
}

func TestFind(t *testing.T) {
	yes, no := new(true), new(false)
	ip := netip.MustParseAddr
	tests := map[string]struct {
		slices []discoveryv1.EndpointSlice
		want   []Pod
	}{
		"no slices are no pods": {want: []Pod{}},
		"unset conditions mean ready, serving and not terminating": {
			slices: []discoveryv1.EndpointSlice{slice(endpoint("a", "10.0.0.1", discoveryv1.EndpointConditions{}))},
			want:   []Pod{{UID: "a", Name: "pod-a", Address: ip("10.0.0.1"), Ready: true, Serving: true}},
		},
		"a pod that is not ready counts": {
			slices: []discoveryv1.EndpointSlice{slice(endpoint("a", "10.0.0.1", discoveryv1.EndpointConditions{Ready: no, Serving: no}))},
			want:   []Pod{{UID: "a", Name: "pod-a", Address: ip("10.0.0.1")}},
		},
		"a pod that leaves counts": {
			slices: []discoveryv1.EndpointSlice{slice(endpoint("a", "10.0.0.1", discoveryv1.EndpointConditions{Ready: no, Serving: yes, Terminating: yes}))},
			want:   []Pod{{UID: "a", Name: "pod-a", Address: ip("10.0.0.1"), Serving: true, Terminating: true}},
		},
		"pods come in order of UID whatever slice they are in": {
			slices: []discoveryv1.EndpointSlice{
				slice(endpoint("b", "10.0.0.2", discoveryv1.EndpointConditions{})),
				slice(endpoint("a", "10.0.0.1", discoveryv1.EndpointConditions{})),
			},
			want: []Pod{
				{UID: "a", Name: "pod-a", Address: ip("10.0.0.1"), Ready: true, Serving: true},
				{UID: "b", Name: "pod-b", Address: ip("10.0.0.2"), Ready: true, Serving: true},
			},
		},
		"a pod in a slice for each address family is one pod, at its IPv4 address": {
			slices: []discoveryv1.EndpointSlice{
				slice(endpoint("a", "fd00::1", discoveryv1.EndpointConditions{})),
				slice(endpoint("a", "10.0.0.1", discoveryv1.EndpointConditions{Ready: no, Serving: no, Terminating: yes})),
			},
			want: []Pod{{UID: "a", Name: "pod-a", Address: ip("10.0.0.1"), Ready: true, Serving: true, Terminating: true}},
		},
		"what is no pod, or has no address that can be read, does not count": {
			slices: []discoveryv1.EndpointSlice{slice(
				discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}},
				discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Node", UID: "n"}},
				discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod"}},
				discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{Kind: "Pod", UID: "b"}},
				endpoint("c", "example.org", discoveryv1.EndpointConditions{}),
			)},
			want: []Pod{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Find(test.slices); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}
