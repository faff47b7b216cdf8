package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// poolWith is a pool with one destination, main, whose status has these conditions.
func poolWith(conditions, ofMain []metav1.Condition) *v1alpha1.ConnectionPool {
	pool := &v1alpha1.ConnectionPool{ObjectMeta: metav1.ObjectMeta{Name: "orders-db", Namespace: "shop", Generation: 3}}
	pool.Spec.Destinations = []v1alpha1.Destination{{Name: "main"}}
	pool.Status = v1alpha1.ConnectionPoolStatus{
		ObservedGeneration: 3, Address: "orders-db.shop.svc:5432", Conditions: conditions,
		Destinations: []v1alpha1.DestinationStatus{{Name: "main", Conditions: ofMain}},
	}
	return pool
}

func is(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

func podWith(name string, ready corev1.ConditionStatus, change func(*corev1.Pod)) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	if change != nil {
		change(&pod)
	}
	return pod
}

func TestExplainNamesCausesBeforeEffects(t *testing.T) {
	waiting := func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}}
	}
	unscheduled := func(pod *corev1.Pod) {
		pod.Status.Conditions = append(pod.Status.Conditions,
			corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"})
	}
	crashed := func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{LastTerminationState: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: "bad flag\n"}}}}
	}
	tests := map[string]struct {
		pool *v1alpha1.ConnectionPool
		pods []corev1.Pod
		want []string
	}{
		"a pool that is ready": {
			pool: poolWith([]metav1.Condition{is("Ready", "True", "Ready", "")}, nil),
			pods: []corev1.Pod{podWith("a", "True", nil)},
			want: []string{"Pool orders-db is ready. Clients connect to orders-db.shop.svc:5432."},
		},
		"a ready pool with a saturated destination": {
			pool: poolWith([]metav1.Condition{is("Ready", "True", "Ready", "")}, []metav1.Condition{is("Saturated", "True", "Waiting", "Raise maxOpen.")}),
			want: []string{"Pool orders-db is ready", "Destination main: Raise maxOpen (Waiting)"},
		},
		"a Secret that is missing": {
			pool: poolWith([]metav1.Condition{is("Ready", "False", "SecretMissing", "x"), is("Available", "False", "NoPods", "No pod is ready."),
				is("Stalled", "True", "SecretMissing", "Create Secret orders-users.")}, nil),
			want: []string{"is not ready", "Create Secret orders-users (SecretMissing)", "No pod is ready (NoPods)"},
		},
		"pods that do not start": {
			pool: poolWith([]metav1.Condition{is("Ready", "False", "NoPods", "No pod is ready.")}, nil),
			pods: []corev1.Pod{podWith("a", "False", waiting), podWith("b", "False", unscheduled), podWith("c", "False", crashed), podWith("d", "False", nil)},
			want: []string{"is not ready", "Pod a: ImagePullBackOff: no such image", "Pod b: no node takes it: 0/3 nodes",
				"Pod c: its container ended with exit code 2: bad flag", "Pod d: it is starting"},
		},
		"nothing but the summary": {
			pool: poolWith([]metav1.Condition{is("Ready", "Unknown", "Pending", "Waiting for the operator.")}, nil),
			want: []string{"is not ready", "Waiting for the operator (Pending)"},
		},
		"an operator that does not look": {
			pool: func() *v1alpha1.ConnectionPool {
				pool := poolWith([]metav1.Condition{is("Ready", "True", "Ready", "")}, nil)
				pool.Generation++
				return pool
			}(),
			want: []string{"The operator has not looked at the latest change"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := explanation(test.pool, test.pods)
			if len(got) != len(test.want) {
				t.Fatalf("got %q", got)
			}
			for i := range got {
				if !strings.Contains(got[i], test.want[i]) {
					t.Errorf("sentence %d: got %q, want %q", i, got[i], test.want[i])
				}
			}
		})
	}
}
