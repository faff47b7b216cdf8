package monitoring

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/readiness"
	"github.com/weir-dev/weir/pooler/podapi"
)

// served is a pool of one pod that serves it.
func served() *plan.Observation {
	now := time.Unix(1_800_000_000, 0)
	return &plan.Observation{
		Now: now, PodsKnown: true,
		Pool: &v1alpha1.ConnectionPool{
			TypeMeta:   metav1.TypeMeta{APIVersion: "weir.dev/v1alpha1", Kind: "ConnectionPool"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders-db", Generation: 4},
			Spec:       v1alpha1.ConnectionPoolSpec{Replicas: new(int32(1)), Destinations: []v1alpha1.Destination{{Name: "orders"}}},
		},
		Deployment: &appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: new(int32(1))},
			Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1},
		},
		Pods: []plan.Pod{{UID: "a", Ready: true, AnsweredAt: now, State: &podapi.State{
			Generation: 4, Ready: true, Destinations: []podapi.DestinationState{{Name: "orders", Limit: 20, Reachable: "True"}},
		}}},
	}
}

// kstatus is what Flux, Argo CD and kpt judge objects by.
func TestKstatus(t *testing.T) {
	for what, test := range map[string]struct {
		change func(*plan.Observation)
		want   status.Status
	}{
		"a pool that serves is Current":                      {func(*plan.Observation) {}, status.CurrentStatus},
		"one whose pods are not there yet is InProgress":     {func(o *plan.Observation) { o.Deployment, o.Pods = nil, nil }, status.InProgressStatus},
		"one whose pods lag is InProgress":                   {func(o *plan.Observation) { o.Pods[0].State.Generation = 3 }, status.InProgressStatus},
		"one whose database cannot be reached is InProgress": {func(o *plan.Observation) { o.Pods[0].State.Destinations[0].Reachable = "False" }, status.InProgressStatus},
		"one whose clients are held is InProgress until they are let go on": {func(o *plan.Observation) {
			o.Pool.Spec.Destinations[0].StopPolicy = v1alpha1.StopPolicyHold
			o.Pods[0].State.Destinations[0].StopPolicy = podapi.StopPolicyHold
		}, status.InProgressStatus},
		"one with fewer connections than pods has Failed": {func(o *plan.Observation) { o.Pool.Spec.Replicas = new(int32(30)) }, status.FailedStatus},
		"one whose Secret is missing has Failed": {func(o *plan.Observation) {
			o.Pods[0].State.Problems = []podapi.Problem{{Destination: "orders", Reason: podapi.ReasonSecretMissing, Message: "create it"}}
		}, status.FailedStatus},
	} {
		t.Run(what, func(t *testing.T) {
			o := served()
			test.change(o)
			o.Pool.Status = readiness.Status(o, &plan.Plan{}, nil)
			if got := judge(t, o.Pool); got.Status != test.want {
				t.Errorf("it is %s: %s", got.Status, got.Message)
			}
		})
	}
	t.Run("one whose spec has changed since is InProgress", func(t *testing.T) {
		o := served()
		o.Pool.Status = readiness.Status(o, &plan.Plan{}, nil)
		o.Pool.Generation++
		if got := judge(t, o.Pool); got.Status != status.InProgressStatus {
			t.Errorf("it is %s: %s", got.Status, got.Message)
		}
	})
}

func judge(t *testing.T, pool *v1alpha1.ConnectionPool) *status.Result {
	t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pool)
	if err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	return result
}
