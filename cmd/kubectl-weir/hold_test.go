package main

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func TestAHoldChangesOnlyWhatDiffers(t *testing.T) {
	pool := poolWith(nil, nil)
	pool.Spec.Destinations = []v1alpha1.Destination{{Name: "a"}, {Name: "b", StopPolicy: "Hold"}, {Name: "c", StopPolicy: "None"}}
	tests := map[string]struct {
		destinations []string
		policy       v1alpha1.StopPolicy
		want         string
	}{
		"all":              {nil, "Hold", `[{"op":"test","path":"/spec/destinations/0/name","value":"a"},{"op":"add","path":"/spec/destinations/0/stopPolicy","value":"Hold"},{"op":"test","path":"/spec/destinations/2/name","value":"c"},{"op":"add","path":"/spec/destinations/2/stopPolicy","value":"Hold"}]`},
		"one":              {[]string{"b"}, "HoldAndDrain", `[{"op":"test","path":"/spec/destinations/1/name","value":"b"},{"op":"add","path":"/spec/destinations/1/stopPolicy","value":"HoldAndDrain"}]`},
		"what is held":     {[]string{"b"}, "Hold", ""},
		"what is not held": {[]string{"a", "c"}, "None", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := stopPatch(pool, test.destinations, test.policy); err != nil || string(got) != test.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	if _, err := stopPatch(pool, []string{"z"}, "Hold"); err == nil || err.Error() != `pool "orders-db" has no destination "z"` {
		t.Errorf("an unknown destination: got %v", err)
	}
}

func TestAHoldIsOverWhenThePodsSaidSo(t *testing.T) {
	synced := []metav1.Condition{is("ConfigSynced", "True", "AllPodsSynced", "")}
	lag := []metav1.Condition{is("ConfigSynced", "False", "PodsLag", "")}
	tests := map[string]struct {
		pool       *v1alpha1.ConnectionPool
		generation int64
		policy     v1alpha1.StopPolicy
		done       bool
		words      string
	}{
		"the operator has not looked": {poolWith(synced, nil), 4, "Hold", false, "Waiting for the operator."},
		"a pod has not said":          {poolWith(synced, nil), 3, "Hold", false, "Destination main: waiting for the pods."},
		"transactions run":            {poolWith(synced, []metav1.Condition{is("Held", "False", "Holding", "2 run.")}), 3, "Hold", false, "Destination main: 2 run."},
		"held":                        {poolWith(synced, []metav1.Condition{is("Held", "True", "Held", "")}), 3, "Hold", true, "Held. Clients wait until: kubectl weir resume orders-db"},
		"still held":                  {poolWith(synced, []metav1.Condition{is("Held", "True", "Held", "")}), 3, "None", false, "Destination main: waiting for the pods."},
		"pods lag":                    {poolWith(lag, nil), 3, "None", false, "Waiting for the pods."},
		"resumed":                     {poolWith(synced, nil), 3, "None", true, "Clients go on."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if done, words := stopped(test.pool, test.generation, nil, test.policy); done != test.done || words != test.words {
				t.Errorf("got %v, %q", done, words)
			}
		})
	}
}
