package controllers

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// The rights of the operator, all of them. What is added here is to be weighed, and said in docs/security.md.
var (
	rightsEverywhere = []string{
		"apps/deployments: create get list patch watch",
		"authentication.k8s.io/tokenreviews: create",
		"authorization.k8s.io/subjectaccessreviews: create",
		"core/configmaps: create get list patch watch",
		"core/services: create get list patch watch",
		"discovery.k8s.io/endpointslices: get list watch",
		"events.k8s.io/events: create patch",
		"policy/poddisruptionbudgets: create get list patch watch",
		"weir.dev/connectionpools/status: update",
		"weir.dev/connectionpools: get list watch",
	}
	rightsInOwnNamespace = []string{
		"coordination.k8s.io/leases [weir-operator]: get update",
		"coordination.k8s.io/leases: create",
		"core/events: create patch",
		"core/secrets [weir-control-ca]: get update",
		"core/secrets: create",
	}
)

func TestTheOperatorHasNoOtherRights(t *testing.T) {
	for file, want := range map[string][]string{
		"../config/rbac/operator.yaml":           rightsEverywhere,
		"../config/rbac/operator-namespace.yaml": rightsInOwnNamespace,
	} {
		t.Run(file, func(t *testing.T) {
			if got := rightsIn(t, file); !slices.Equal(got, want) {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// rightsIn are the rules of the roles in a file, in a form that is easy to read.
func rightsIn(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rights []string
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			rights = append(rights, rightsOf(rule)...)
		}
	}
	slices.Sort(rights)
	return rights
}

func rightsOf(rule rbacv1.PolicyRule) []string {
	var rights []string
	for _, group := range rule.APIGroups {
		if group == "" {
			group = "core"
		}
		for _, resource := range rule.Resources {
			right := group + "/" + resource
			for _, name := range rule.ResourceNames {
				right += " [" + name + "]"
			}
			right += ":"
			for _, verb := range slices.Sorted(slices.Values(rule.Verbs)) {
				right += " " + verb
			}
			rights = append(rights, right)
		}
	}
	return rights
}
