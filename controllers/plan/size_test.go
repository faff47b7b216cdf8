package plan_test

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/sizing"
)

func TestTheLowerOfLimitAndSizeIsShared(t *testing.T) {
	s := newStory(t)
	a := s.start("a")
	for _, test := range []struct {
		sizes []v1alpha1.Size
		want  int32
	}{
		{nil, 20},
		{[]v1alpha1.Size{{Destination: "orders", MaxOpen: 7}}, 7},
		{[]v1alpha1.Size{{Destination: "orders", MaxOpen: 70}}, 20},
		{[]v1alpha1.Size{{Destination: "gone", MaxOpen: 7}}, 20},
	} {
		s.pool.Spec.Sizes = test.sizes
		s.pool.Generation++
		s.rest("a size")
		if a.limit() != test.want {
			t.Errorf("with %+v the pod has %d, not %d", test.sizes, a.limit(), test.want)
		}
	}
}

// autoscaled is a pool of one pod that sizes itself between 4 and 20.
func autoscaled(t *testing.T) (*story, *fakePod) {
	s := newStory(t)
	s.pool.Spec.Destinations[0].Limits.Autoscale = &v1alpha1.Autoscale{MinOpen: 4}
	a := s.start("a")
	s.rest("a pod")
	return s, a
}

func TestALimitThatMovesByItselfFallsToWhatIsUsedAndRisesWhenClientsWait(t *testing.T) {
	s, a := autoscaled(t)
	if a.limit() != 20 {
		t.Fatalf("it begins at %d", a.limit())
	}
	for begun := s.now; s.now.Sub(begun) < 6*time.Minute; {
		s.passes(1, "nothing is used")
	}
	if a.limit() != 4 {
		t.Fatalf("unused it is %d", a.limit())
	}
	a.open, a.busy, a.waiting = 4, 4, 50
	s.passes(8, "clients wait")
	if a.limit() != 20 {
		t.Errorf("with clients that wait it is %d", a.limit())
	}
	a.waiting = 0
	s.rest("they are served")
	document, err := plan.ParseDocument(s.data)
	if err != nil {
		t.Fatal(err)
	}
	if got := document.Sizes["orders"]; got.Limit != 20 || got.Reason != sizing.RaisedForWaiting {
		t.Errorf("what is kept for the next operator is %+v", got)
	}
	s.pool.Spec.Destinations[0].Limits.Autoscale = nil
	s.pool.Generation++
	s.rest("it sizes itself no more")
	if _, there := s.data[plan.SizesKey]; there {
		t.Error("what was kept is left behind")
	}
}

func TestADestinationOnHoldIsNotSized(t *testing.T) {
	s, a := autoscaled(t)
	s.pool.Spec.Destinations[0].StopPolicy = v1alpha1.StopPolicyHoldAndDrain
	s.pool.Generation++
	a.waiting = 10
	for begun := s.now; s.now.Sub(begun) < 20*time.Minute; {
		s.passes(1, "on hold")
	}
	if a.limit() != 20 {
		t.Errorf("after a hold the limit is %d", a.limit())
	}
}

func TestSizesThatCannotBeReadBeginAnew(t *testing.T) {
	s, a := autoscaled(t)
	s.data[plan.SizesKey] = "?"
	s.rest("somebody wrote into it")
	if a.limit() != 20 {
		t.Errorf("the limit is %d", a.limit())
	}
}
