package controllers

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func requestOf(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
}

func TestAPoolThatChangesOvertakesACrowdThatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		crowd := func(i int) reconcile.Request {
			pool := &v1alpha1.ConnectionPool{}
			pool.Namespace, pool.Name = "shop", fmt.Sprintf("new-%d", i)
			r.memory.of(pool, time.Now())
			return requestOf(pool.Name)
		}
		old := &v1alpha1.ConnectionPool{}
		old.Namespace, old.Name, old.Status.ObservedGeneration = "shop", "old", 1
		r.memory.of(old, time.Now())

		queue := r.lanes("test", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		defer queue.ShutDown()
		for i := range 300 {
			switch i % 3 {
			case 0:
				queue.Add(crowd(i))
			case 1:
				queue.AddAfter(crowd(i), time.Millisecond)
			default:
				queue.(priorityqueue.PriorityQueue[reconcile.Request]).AddWithOpts(priorityqueue.AddOpts{Priority: new(urgent)}, crowd(i))
			}
		}
		queue.Add(requestOf("old"))
		time.Sleep(time.Second)
		if queue.Len() != 301 {
			t.Fatalf("%d wait", queue.Len())
		}
		if first, _ := queue.Get(); first != requestOf("old") {
			t.Errorf("first came %s", first.Name)
		}
	})
}

func TestAPoolHasComeWhenItWasSeenAtRest(t *testing.T) {
	r := New(Options{})
	pool := &v1alpha1.ConnectionPool{}
	pool.Namespace, pool.Name = "shop", "orders-db"
	known := r.memory.of(pool, time.Now())
	if !r.comes(requestOf("orders-db")) {
		t.Error("a new pool does not come")
	}
	r.memory.settled(known)
	if r.comes(requestOf("orders-db")) {
		t.Error("a pool that was at rest still comes")
	}
}
