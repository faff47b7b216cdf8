package kubestate

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kube-state-metrics/v2/pkg/customresourcestate"
	"k8s.io/kube-state-metrics/v2/pkg/metric"
	kubernetesyaml "sigs.k8s.io/yaml"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// exportedByKubeStateMetrics are the samples that kube-state-metrics makes of a pool with the configuration of the samples.
func exportedByKubeStateMetrics(t *testing.T, pool *unstructured.Unstructured) map[string][]string {
	t.Helper()
	var config customresourcestate.Metrics
	if err := yaml.NewDecoder(bytes.NewReader(read(t, "../../config/samples/monitoring/kube-state-metrics.yaml"))).Decode(&config); err != nil {
		t.Fatal(err)
	}
	samples := map[string][]string{}
	for _, resource := range config.Spec.Resources {
		for i := range resource.Metrics { // as kube-state-metrics does when it reads its configuration
			each := &resource.Metrics[i].Each
			each.Type = metric.Type(strings.ToLower(string(each.Type)))
		}
		factory, err := customresourcestate.NewCustomResourceMetrics(resource)
		if err != nil {
			t.Fatal(err)
		}
		for _, generator := range factory.MetricFamilyGenerators() {
			text := string(generator.Generate(pool).ByteSlice())
			samples[generator.Name] = strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
		}
	}
	return samples
}

// calmStatus is the status that the operator's own tests expect of a pool in which all is well.
const calmStatus = "../../controllers/readiness/testdata/status.yaml"

func TestKubeStateMetricsFindsTheStatusOfAPool(t *testing.T) {
	pool := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "weir.dev/v1alpha1", "kind": "ConnectionPool",
		"metadata": map[string]any{"namespace": "shop", "name": "orders-db"},
	}}
	var status map[string]any
	if err := kubernetesyaml.Unmarshal(read(t, calmStatus), &status); err != nil {
		t.Fatal(err)
	}
	pool.Object["status"] = status
	samples := exportedByKubeStateMetrics(t, pool)

	const labels = `customresource_group="weir.dev",customresource_kind="ConnectionPool",customresource_version="v1alpha1",`
	for name, want := range map[string]string{
		"weir_status_condition":                     `{` + labels + `namespace="shop",pool="orders-db",reason="Ready",status="True",type="Ready"} 1`,
		"weir_status_replicas":                      `{` + labels + `namespace="shop",pool="orders-db"} 2`,
		"weir_status_ready_replicas":                `{` + labels + `namespace="shop",pool="orders-db"} 2`,
		"weir_status_limit":                         `{` + labels + `destination="orders",namespace="shop",pool="orders-db"} 20`,
		"weir_status_peak_in_use":                   `{` + labels + `destination="orders",namespace="shop",pool="orders-db"} 10`,
		"weir_status_utilization_percent":           `{` + labels + `destination="orders",namespace="shop",pool="orders-db"} 50`,
		"weir_status_acquire_wait_p95_milliseconds": `{` + labels + `destination="billing",namespace="shop",pool="orders-db"} 1`,
	} {
		if !slices.Contains(samples[name], name+want) {
			t.Errorf("%s%s is not among:\n%s", name, want, strings.Join(samples[name], "\n"))
		}
		delete(samples, name)
	}
	for name := range samples {
		t.Errorf("nobody looks at %s", name)
	}
}
