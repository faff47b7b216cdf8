package helm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const config = "../../config"

// object is a Kubernetes object as JSON has it.
type object = map[string]any

func TestTheChartInstallsWhatKustomizeInstalls(t *testing.T) {
	tests := map[string]struct {
		values        object
		kustomization string
	}{
		"as they come": {nil, `
namespace: weir-system
resources: [../config/default]`},
		"in one namespace": {object{"watchNamespaces": []any{"weir-system"}}, `
namespace: weir-system
resources: [../config/default]
components: [../config/components/namespaced]
patches:
- target: {kind: ClusterRole, name: weir-operator-metrics}
  options: {allowNameChange: true}
  patch: |
    - {op: replace, path: /metadata/name, value: weir-operator-metrics-weir-system}
- target: {kind: ClusterRoleBinding, name: weir-operator-metrics}
  options: {allowNameChange: true}
  patch: |
    - {op: replace, path: /metadata/name, value: weir-operator-metrics-weir-system}
- target: {kind: Deployment}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/env/2, value: {name: WATCH_NAMESPACES, value: weir-system}}`},
		"with a NetworkPolicy": {object{"networkPolicy": object{"enabled": true}}, `
namespace: weir-system
resources: [../config/default]
components: [../config/components/network-policy]`},
		"with another image": {object{"image": object{"repository": "registry.example.com/weir", "tag": "v1"}}, `
namespace: weir-system
resources: [../config/default]
images: [{name: ghcr.io/weir-dev/weir, newName: registry.example.com/weir, newTag: v1}]
patches:
- target: {kind: Deployment}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/env/1/value, value: "registry.example.com/weir:v1"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := built(t, test.kustomization)
			delete(want, "Namespace weir-system") // helm install --create-namespace makes it
			got := rendered(t, test.values)
			for _, id := range slices.Sorted(maps.Keys(union(got, want))) {
				if a, b := text(t, got[id]), text(t, want[id]); a != b {
					t.Errorf("%s\nchart:     %s\nkustomize: %s", id, a, b)
				}
			}
		})
	}
}

func TestValuesThatMakeNoSenseAreRefusedByName(t *testing.T) {
	tests := map[string]struct {
		values object
		want   string
	}{
		"an unknown value":     {object{"replica": 2}, "replica"},
		"too many replicas":    {object{"replicas": 50}, "replicas"},
		"no namespace's name":  {object{"watchNamespaces": []any{"Shop"}}, "watchNamespaces"},
		"an unknown log level": {object{"logLevel": "TRACE"}, "logLevel"},
		"a digest that is not": {object{"image": object{"digest": "latest"}}, "image/digest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := render(load(t), test.values)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something about %s", err, test.want)
			}
		})
	}
}

func TestEveryValueHasAnEffect(t *testing.T) {
	usual := text(t, rendered(t, nil))
	for name, values := range map[string]object{
		"digest":            {"image": object{"digest": "sha256:" + strings.Repeat("a", 64)}},
		"pullPolicy":        {"image": object{"pullPolicy": "Always"}},
		"imagePullSecrets":  {"imagePullSecrets": []any{object{"name": "registry"}}},
		"poolerImage":       {"poolerImage": "weir:2"},
		"replicas":          {"replicas": 2},
		"logLevel":          {"logLevel": "DEBUG"},
		"concurrency":       {"concurrency": 8},
		"apiWrites":         {"apiWritesPerSecond": 200},
		"resources":         {"resources": object{"requests": object{"cpu": "1"}}},
		"nodeSelector":      {"nodeSelector": object{"a": "b"}},
		"tolerations":       {"tolerations": []any{object{"operator": "Exists"}}},
		"affinity":          {"affinity": object{"nodeAffinity": object{}}},
		"priorityClassName": {"priorityClassName": "system-cluster-critical"},
		"podLabels":         {"podLabels": object{"a": "b"}},
		"podAnnotations":    {"podAnnotations": object{"a": "b"}},
		"serviceAccount":    {"serviceAccount": object{"annotations": object{"a": "b"}}},
		"crd.install":       {"crd": object{"install": false}},
		"rbac.userRoles":    {"rbac": object{"userRoles": false}},
		"metrics.enabled":   {"metrics": object{"enabled": false}},
		"serviceMonitor":    {"metrics": object{"serviceMonitor": object{"enabled": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			if text(t, rendered(t, values)) == usual {
				t.Errorf("%v changes nothing", values)
			}
		})
	}
}

func TestTheResourceDefinitionOutlivesTheRelease(t *testing.T) {
	for keep, want := range map[bool]string{true: "keep", false: ""} {
		files, err := render(load(t), object{"crd": object{"keep": keep}})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects(t, files["weir/templates/crd.yaml"]) {
			if got := (&unstructured.Unstructured{Object: o}).GetAnnotations()["helm.sh/resource-policy"]; got != want {
				t.Errorf("keep: %v: got policy %q", keep, got)
			}
		}
	}
}

// built are the objects of a kustomization in a folder beside config, without what differs for a reason.
func built(t *testing.T, kustomization string) map[string]object {
	t.Helper()
	files := filesys.MakeFsInMemory()
	err := filepath.WalkDir(config, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return files.WriteFile("/config"+strings.TrimPrefix(path, config), content)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.WriteFile("/test/kustomization.yaml", []byte(kustomization)); err != nil {
		t.Fatal(err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/test")
	if err != nil {
		t.Fatal(err)
	}
	content, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return byID(objects(t, string(content)))
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.LoadDir(config + "/chart")
	if err != nil {
		t.Fatal(err)
	}
	return loaded.(*chart.Chart)
}

func render(c *chart.Chart, values object) (map[string]string, error) {
	release := common.ReleaseOptions{Name: "weir", Namespace: "weir-system", IsInstall: true}
	all, err := util.ToRenderValues(c, values, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// rendered are the objects of the chart, without what differs for a reason.
func rendered(t *testing.T, values object) map[string]object {
	t.Helper()
	files, err := render(load(t), values)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for name, content := range files {
		if filepath.Ext(name) == ".yaml" {
			all = append(all, objects(t, content)...)
		}
	}
	return byID(all)
}

func objects(t *testing.T, content string) []object {
	t.Helper()
	var all []object
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(content)), 4096)
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, content)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
}

// byID drops the labels and annotations that say who installed an object.
func byID(all []object) map[string]object {
	found := make(map[string]object, len(all))
	for _, o := range all {
		u := unstructured.Unstructured{Object: o}
		labels, annotations := u.GetLabels(), u.GetAnnotations()
		for _, of := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
			delete(labels, of)
		}
		delete(annotations, "helm.sh/resource-policy")
		u.SetLabels(labels)
		u.SetAnnotations(annotations)
		found[strings.TrimSpace(u.GetKind()+" "+u.GetName())] = o
	}
	return found
}

func union(a, b map[string]object) map[string]object {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

func text(t *testing.T, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheSamplesBuild(t *testing.T) {
	for folder, want := range map[string]string{"samples": "ConnectionPool orders-db", "samples/monitoring": "PrometheusRule weir"} {
		if found := built(t, "resources: [../config/"+folder+"]"); found[want] == nil {
			t.Errorf("%s has no %s", folder, want)
		}
	}
}
