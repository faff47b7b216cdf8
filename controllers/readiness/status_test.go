package readiness_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/readiness"
	"github.com/weir-dev/weir/controllers/sizing"
	"github.com/weir-dev/weir/pooler/podapi"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Unix(1_800_000_000, 0)

// scene is a pool and what was observed of it. calm is one in which all is well; tests change one thing.
type scene struct {
	plan.Observation
	made     *plan.Plan
	troubles []readiness.Trouble
}

func calm() *scene {
	s := &scene{made: &plan.Plan{Limits: map[string]int32{"orders": 20, "billing": 20}}}
	s.Now = now
	s.PodsKnown = true
	s.Pool = &v1alpha1.ConnectionPool{
		ObjectMeta: metav1.ObjectMeta{Name: "orders-db", Namespace: "shop", Generation: 4},
		Spec: v1alpha1.ConnectionPoolSpec{
			Replicas:     new(int32(2)),
			Destinations: []v1alpha1.Destination{{Name: "orders"}, {Name: "billing", ListenPort: 5433}},
		},
	}
	s.Deployment = &appsv1.Deployment{
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))},
		Status: appsv1.DeploymentStatus{
			Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2,
			Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue}},
		},
	}
	for _, uid := range []string{"b", "a"} {
		s.Pods = append(s.Pods, plan.Pod{UID: uid, Name: uid, Ready: true, AnsweredAt: now, State: &podapi.State{
			PodUID: uid, Generation: 4, Ledger: 9, Ready: true, WindowSeconds: 60,
			Destinations: []podapi.DestinationState{at("orders"), at("billing")},
		}})
	}
	return s
}

// at is a pod's part of a destination that is well.
func at(name string) podapi.DestinationState {
	return podapi.DestinationState{
		Name: name, Limit: 10, Open: 4, Idle: 1, Lent: 3, PeakLent: 5, Reachable: "True",
		Wait: podapi.Histogram{BoundsMicroseconds: []int64{100, 1000, 10_000}, Counts: []int64{90, 9, 1, 0}},
	}
}

// orders is the first pod's part of the first destination.
func (s *scene) orders() *podapi.DestinationState { return &s.Pods[0].State.Destinations[0] }

func (s *scene) status() v1alpha1.ConnectionPoolStatus {
	return readiness.Status(&s.Observation, s.made, s.troubles)
}

func TestConditions(t *testing.T) {
	tests := []struct {
		name   string
		change func(*scene)
		want   string // type=status/reason, those that differ from a calm pool's
		says   string // part of the message of Ready
	}{
		{"all is well", func(*scene) {}, "", "serves clients as its spec says"},
		{"an object belongs to somebody else",
			func(s *scene) {
				s.troubles = []readiness.Trouble{{Reason: v1alpha1.ReasonNameClash, Message: `Service "orders-db" is there already`}}
			},
			"Ready=False/NameClash Stalled=True/NameClash", `Service "orders-db" is there already`},
		{"no plan could be made",
			func(s *scene) {
				s.made = nil
				s.troubles = []readiness.Trouble{{Reason: v1alpha1.ReasonConfigTooLarge, Message: "too large"}}
			},
			"Ready=False/ConfigTooLarge Stalled=True/ConfigTooLarge", "too large"},
		{"maxOpen is below the number of pods",
			func(s *scene) { s.Pool.Spec.Destinations[1].Limits.MaxOpen = 1 },
			"Ready=False/BudgetTooSmall Stalled=True/BudgetTooSmall", `destination "billing" has fewer connections (maxOpen 1, by its limits or a size) than there are pods (replicas 2)`},
		{"a Secret is missing",
			func(s *scene) { s.problem("orders", podapi.ReasonSecretMissing, `Secret "users" is missing`) },
			"Ready=False/SecretMissing Stalled=True/SecretMissing", `destination "orders": Secret "users" is missing`},
		{"a Secret cannot be used",
			func(s *scene) { s.problem("", podapi.ReasonSecretInvalid, "tls.key does not fit tls.crt") },
			"Ready=False/SecretInvalid Stalled=True/SecretInvalid", "tls.key does not fit tls.crt"},
		{"a port is taken",
			func(s *scene) { s.problem("", podapi.ReasonListenFailed, "port 5432 is in use") },
			"Ready=False/ListenFailed Stalled=True/ListenFailed", "port 5432"},
		{"a leaving pod has a problem", func(s *scene) {
			s.problem("", podapi.ReasonListenFailed, "port 5432 is in use")
			s.Pods[0].Terminating = true
		}, "", ""},
		{"users cannot be looked up", func(s *scene) {
			s.Pool.Spec.Destinations[0].PostgreSQL.Auth.Lookup.UserSecretRef.Name = "finder"
			s.orders().LookupFault = "permission denied for table pg_authid"
		}, "Ready=False/LookupFailed", `destination "orders": users cannot be looked up, check the user, the database and the query of auth.lookup: permission denied`},
		{"a lookup that failed has been taken away", func(s *scene) { s.orders().LookupFault = "permission denied" }, "", ""},
		{"a problem of a later release that nobody here knows", func(s *scene) { s.problem("", "Sleepy", "zzz") }, "", ""},
		{"the rollout makes no progress",
			func(s *scene) { s.Deployment.Status.Conditions[0].Status = corev1.ConditionFalse },
			"Ready=False/RolloutStuck Stalled=True/RolloutStuck", "kubectl -n shop describe pods -l weir.dev/pool=orders-db"},
		{"pods cannot be created",
			func(s *scene) {
				s.Deployment.Status.Conditions[0] = appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}
			},
			"Ready=False/RolloutStuck Stalled=True/RolloutStuck", "exceeded quota"},
		{"what the Deployment says is of before",
			func(s *scene) {
				s.Deployment.Status.Conditions[0].Status = corev1.ConditionFalse
				s.Deployment.Generation = 1
			}, "Reconciling=True/RollingOut", ""},
		{"no Deployment yet",
			func(s *scene) { s.Deployment, s.Pods = nil, nil },
			"Available=False/NoPods ConfigSynced=Unknown/NoPods Ready=False/NoPods Reconciling=True/RollingOut Saturated=Unknown/NoReports", "no pod is ready"},
		{"one pod of two is away, as the rollout may have it",
			func(s *scene) { s.Deployment.Status.ReadyReplicas = 1 },
			"Reconciling=True/RollingOut", ""},
		{"too many pods are away",
			func(s *scene) {
				s.Deployment.Status.ReadyReplicas = 1
				s.Pool.Spec.Rollout.MaxUnavailable = new(intstr.FromString("10%"))
			},
			"Available=False/TooFewPods Ready=False/TooFewPods Reconciling=True/RollingOut", "1 of 2 pods are ready, at least 2 should be"},
		{"scaled to zero",
			func(s *scene) { s.scaleToZero() },
			"Available=False/ScaledToZero ConfigSynced=Unknown/NoPods Ready=False/ScaledToZero Saturated=Unknown/NoReports", "replicas is 0"},
		{"another number of pods is wanted than the Deployment has",
			func(s *scene) { s.Pool.Spec.Replicas = new(int32(3)) },
			"Reconciling=True/RollingOut", ""},
		{"a pod runs an older configuration",
			func(s *scene) { s.Pods[0].State.Generation = 3 },
			"ConfigSynced=False/PodsLag Ready=False/PodsLag Reconciling=True/Syncing", "1 of 2 ready pods run an older configuration"},
		{"a ready pod does not answer",
			func(s *scene) { s.Pods[0].AnsweredAt = now.Add(-time.Hour) },
			"ConfigSynced=False/PodsSilent Ready=False/PodsSilent", "does a NetworkPolicy keep it out?"},
		{"a pod that is not ready runs an older configuration",
			func(s *scene) { s.Pods[0].State.Generation, s.Pods[0].Ready = 3, false },
			"Reconciling=True/Syncing", ""},
		{"connections move between pods",
			func(s *scene) {
				s.made.Document.Ledger.Pods = map[string]budget.Account{"a": {Destinations: map[string]budget.Entry{"orders": {Charge: 3, Limit: 1}}}}
			}, "Reconciling=True/MovingShares", ""},
		{"a destination refuses the login",
			func(s *scene) {
				s.orders().Reachable = "False"
				s.orders().Fault = &podapi.Problem{Reason: podapi.ReasonAuthenticationFailed, Message: `password authentication failed for user "weir"`}
			},
			"Ready=False/AuthenticationFailed", `destination "orders": password authentication failed`},
		{"one pod cannot reach a destination",
			func(s *scene) { s.orders().Reachable = "False" },
			"Ready=False/Unreachable", `destination "orders": pods cannot connect`},
		{"nobody has tried a destination yet",
			func(s *scene) { s.orders().Reachable, s.Pods[1].State.Destinations[0].Reachable = "Unknown", "Unknown" },
			"Ready=Unknown/NotTried", `destination "orders": no pod has tried`},
		{"what is wrong is said before what is not known",
			func(s *scene) {
				s.orders().Reachable, s.Pods[1].State.Destinations[0].Reachable = "Unknown", "Unknown"
				s.Pods[0].State.Destinations[1].Reachable = "False"
			},
			"Ready=False/Unreachable", `destination "billing"`},
		{"clients wait while all connections are in use",
			func(s *scene) {
				s.orders().PeakWaiting, s.orders().PeakLent = 1, 15
			},
			"Saturated=True/Waiting", ""},
		{"clients waited although connections were left, as when one was being opened",
			func(s *scene) { s.orders().PeakWaiting = 1 }, "", ""},
		{"clients are to be held, and a pod has not said that it does",
			func(s *scene) { s.hold(v1alpha1.StopPolicyHold); s.orders().StopPolicy = "" },
			"Ready=False/Held Held=False/Holding", `destination "orders": some pods have yet to hold`},
		{"on hold, transactions still run",
			func(s *scene) { s.hold(v1alpha1.StopPolicyHold) },
			"Ready=False/Held Held=False/Holding", `destination "orders": transactions still run`},
		{"on hold, nothing runs any more",
			func(s *scene) { s.hold(v1alpha1.StopPolicyHold); s.quiet(4) },
			"Ready=False/Held Held=True/Held", "no transaction runs"},
		{"a hold that does not ask for more",
			func(s *scene) { s.hold(v1alpha1.StopPolicyHoldAndDrain); s.quiet(4) },
			"Ready=False/Held Held=False/Holding", "connections are being closed"},
		{"a database that may still count the connections of a pod that is gone",
			func(s *scene) {
				s.hold(v1alpha1.StopPolicyHoldAndDrain)
				s.quiet(0)
				s.made.Document.Ledger.Pods = map[string]budget.Account{"c": {GoneSince: 1, Destinations: map[string]budget.Entry{"orders": {Charge: 3, Limit: 3}}}}
			},
			"Ready=False/Held Held=False/Holding Reconciling=True/MovingShares", "may not have noticed"},
		{"drained, and the database is down as somebody wants it",
			func(s *scene) {
				s.hold(v1alpha1.StopPolicyHoldAndDrain)
				s.quiet(0)
				s.orders().Reachable = "False"
			},
			"Ready=False/Held Held=True/Drained", "no connection is open"},
		{"a size for a destination that is not there",
			func(s *scene) {
				s.Pool.Spec.Sizes = []v1alpha1.Size{{Destination: "gone", MaxOpen: 3}, {Destination: "orders", MaxOpen: 3}}
			},
			"SizesIgnored=True/UnknownDestination", ""},
		{"a size leaves fewer connections than there are pods",
			func(s *scene) { s.Pool.Spec.Sizes = []v1alpha1.Size{{Destination: "orders", MaxOpen: 1}} },
			"Ready=False/BudgetTooSmall Stalled=True/BudgetTooSmall", "maxOpen 1, by its limits or a size"},
		{"clients waited in vain",
			func(s *scene) { s.orders().AcquireTimeouts = 1 },
			"Saturated=True/AcquireTimeouts", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := calm()
			test.change(s)
			status := s.status()
			if got := differences(calm().status(), status); got != test.want {
				t.Errorf("conditions are\n  %s\nnot\n  %s", got, test.want)
			}
			ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
			if !strings.Contains(ready.Message, test.says) {
				t.Errorf("Ready says %q, not %q", ready.Message, test.says)
			}
		})
	}
}

func (s *scene) problem(destination, reason, text string) {
	s.Pods[0].State.Problems = []podapi.Problem{{Destination: destination, Reason: reason, Message: text}}
}

// hold makes the first destination one that the pods hold.
func (s *scene) hold(policy v1alpha1.StopPolicy) {
	s.Pool.Spec.Destinations[0].StopPolicy = policy
	for i := range s.Pods {
		s.Pods[i].State.Destinations[0].StopPolicy = string(policy)
	}
}

// quiet lets each pod have nothing in use and so many connections open to the first destination.
func (s *scene) quiet(open int32) {
	for i := range s.Pods {
		d := &s.Pods[i].State.Destinations[0]
		d.Open, d.Idle, d.Lent = open, open, 0
	}
}

func (s *scene) scaleToZero() {
	s.Pods = nil
	s.Pool.Spec.Replicas, s.Deployment.Spec.Replicas = new(int32(0)), new(int32(0))
	s.Deployment.Status.Replicas, s.Deployment.Status.UpdatedReplicas, s.Deployment.Status.ReadyReplicas = 0, 0, 0
}

// differences are the conditions that differ from those of before, in order of their type.
func differences(before, after v1alpha1.ConnectionPoolStatus) string {
	var out []string
	for _, kind := range []string{
		v1alpha1.ConditionAvailable, v1alpha1.ConditionConfigSynced, v1alpha1.ConditionReady,
		v1alpha1.ConditionHeld, v1alpha1.ConditionReconciling, v1alpha1.ConditionSaturated,
		v1alpha1.ConditionSizesIgnored, v1alpha1.ConditionStalled,
	} {
		b, a := meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind)
		switch {
		case a == nil && b == nil:
		case a == nil:
			out = append(out, kind+" is missing")
		case b == nil || a.Status != b.Status || a.Reason != b.Reason:
			out = append(out, fmt.Sprintf("%s=%s/%s", kind, a.Status, a.Reason))
		}
	}
	return strings.Join(out, " ")
}

// The whole status of a calm pool, as a person sees it. Rewrite with: go test ./controllers/readiness -update
func TestStatusIsAsTheGoldenFileShows(t *testing.T) {
	s := calm()
	s.Pods[1].Terminating, s.Pods[1].Ready = true, false
	got, err := yaml.Marshal(s.status())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "status.yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s has changed:\n%s", path, got)
	}
}

func TestAddressHasThePortWhenThereIsOne(t *testing.T) {
	s := calm()
	s.Pool.Spec.Destinations = s.Pool.Spec.Destinations[1:]
	if got := s.status().Address; got != "orders-db.shop.svc:5433" {
		t.Errorf("the address is %s", got)
	}
}

func TestTransitionTimeChangesOnlyWithTheStatusOfACondition(t *testing.T) {
	s := calm()
	s.Pool.Status = s.status()
	s.Now = now.Add(time.Hour)
	for i := range s.Pods {
		s.Pods[i].AnsweredAt = s.Now
	}
	s.orders().AcquireTimeouts = 1
	for _, c := range s.status().Conditions {
		want := now
		if c.Type == v1alpha1.ConditionSaturated {
			want = s.Now
		}
		if !c.LastTransitionTime.Time.Equal(want) {
			t.Errorf("%s is since %s, not %s", c.Type, c.LastTransitionTime, want)
		}
	}
}

func TestWhatIsOverIsNotKept(t *testing.T) {
	s := calm()
	s.Deployment.Status.Conditions[0].Status = corev1.ConditionFalse
	s.Pool.Status = s.status()
	s.Deployment.Status.Conditions[0].Status = corev1.ConditionTrue
	s.Pool.Spec.Destinations = s.Pool.Spec.Destinations[:1]
	status := s.status()
	if meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Error("Stalled is kept although it is over")
	}
	if len(status.Destinations) != 1 {
		t.Error("a destination that was removed is kept")
	}
}

func TestMessagesOfPodsAreBounded(t *testing.T) {
	s := calm()
	s.problem("", podapi.ReasonSecretInvalid, strings.Repeat("ü", 5000)+"\xff")
	for _, c := range s.status().Conditions {
		if len(c.Message) > 1100 {
			t.Errorf("%s has a message of %d bytes", c.Type, len(c.Message))
		}
	}
}

func TestADestinationThatSizesItselfSaysWhy(t *testing.T) {
	reason := func(change func(*scene)) string {
		s := calm()
		s.Pool.Spec.Destinations[0].Limits.Autoscale = &v1alpha1.Autoscale{}
		s.made.Document.Sizes = map[string]sizing.State{"orders": {Limit: 8, Reason: sizing.RaisedForUse}}
		s.made.Limits["orders"] = 8
		change(s)
		status := s.status().Destinations[0]
		c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionAutoscaled)
		if c == nil {
			return fmt.Sprintf("%d", *status.MaxOpen)
		}
		return fmt.Sprintf("%d %s/%s", *status.MaxOpen, c.Status, c.Reason)
	}
	tests := map[string]func(*scene){
		"8 True/RaisedForUse": func(*scene) {},
		"8 False/AtMaxOpen": func(s *scene) {
			s.Pool.Spec.Sizes = []v1alpha1.Size{{Destination: "orders", MaxOpen: 8}}
			s.orders().Lent, s.orders().Waiting = 8, 3
		},
		"8": func(s *scene) { s.Pool.Spec.Destinations[0].Limits.Autoscale = nil },
	}
	for want, change := range tests {
		if got := reason(change); got != want {
			t.Errorf("it is %s, not %s", got, want)
		}
	}
}
