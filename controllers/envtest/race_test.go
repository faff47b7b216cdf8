package envtest_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers"
	"github.com/weir-dev/weir/controllers/pods"
)

// What a pass does when somebody else does something between the moment in which it looks and the moment in which it writes.
var _ = Describe("a pass", func() {
	var g *ground
	var meanwhile func(ctx context.Context, kind string) // is called before each apply
	var reconcile func(ctx context.Context)
	var later time.Duration // than it is, by the operator's clock
	var replace func()      // the operator by another one, which remembers nothing

	BeforeEach(func(ctx context.Context) {
		g = newGround(ctx)
		meanwhile = func(context.Context, string) {}
		watching, err := client.NewWithWatch(rest.CopyConfig(environment.Config), client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		racing := interceptor.NewClient(watching, interceptor.Funcs{
			Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
				meanwhile(ctx, object.(interface{ GetKind() string }).GetKind())
				return c.Apply(ctx, object, options...)
			},
		})
		var reconciler *controllers.Reconciler
		later = 0
		replace = func() {
			podClient := pods.New(pods.Options{Certificate: authority.ClientCertificate, Dial: g.network.Dial})
			DeferCleanup(podClient.Close)
			reconciler = controllers.New(controllers.Options{
				Client: racing, Direct: watching, Pods: podClient, Events: events.NewFakeRecorder(100),
				ClientCA: authority.PEM(), Image: operatorImage, Vanish: vanish,
				Now: func() time.Time { return time.Now().Add(later) },
			})
		}
		replace()
		reconcile = func(ctx context.Context) {
			GinkgoHelper()
			result, err := reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: g.namespace, Name: poolName}})
			Expect(err).NotTo(HaveOccurred(), "a lost race is no error")
			Expect(result.RequeueAfter).NotTo(BeZero())
		}
		g.create(ctx)
	})

	// once lets something happen before the next apply of a kind.
	once := func(kind string, do func(ctx context.Context)) {
		meanwhile = func(ctx context.Context, applied string) {
			if applied == kind {
				meanwhile = func(context.Context, string) {}
				do(ctx)
			}
		}
	}

	// settle reconciles until nothing moves any more.
	settle := func(ctx context.Context) {
		GinkgoHelper()
		for range 4 {
			reconcile(ctx)
		}
	}

	It("applies nothing when nothing has changed", func(ctx context.Context) {
		reconcile(ctx)
		g.addPods(ctx, "a", "b")
		settle(ctx)
		applied := []string{}
		meanwhile = func(_ context.Context, kind string) { applied = append(applied, kind) }
		reconcile(ctx)
		Expect(applied).To(BeEmpty())
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Replicas = new(int32(3)) })
		reconcile(ctx)
		Expect(applied).To(Equal([]string{"ConfigMap", "Deployment"}), "only what changes is applied")
	})

	It("applies nothing after another operator, and not to children whose status or annotations others write", func(ctx context.Context) {
		reconcile(ctx)
		g.addPods(ctx, "a", "b")
		settle(ctx)
		applied := []string{}
		meanwhile = func(_ context.Context, kind string) { applied = append(applied, kind) }
		replace()
		reconcile(ctx)
		Expect(applied).To(BeEmpty())
		g.touch(ctx)
		reconcile(ctx)
		Expect(applied).To(BeEmpty())

		By("mending what somebody has changed between two operators")
		service := get(ctx, g.namespace, poolName, &corev1.Service{})
		service.Spec.Selector["app"] = "other"
		Expect(cluster.Update(ctx, service)).To(Succeed())
		deployment := get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{})
		deployment.Spec.Replicas = new(int32(7))
		Expect(cluster.Update(ctx, deployment)).To(Succeed())
		replace()
		reconcile(ctx)
		Expect(applied).To(Equal([]string{"Service", "Deployment"}))
		Expect(get(ctx, g.namespace, poolName, service).Spec.Selector).To(Equal(map[string]string{v1alpha1.LabelPool: poolName}))
	})

	It("lets a status stand until it has heard the pods, or has had the time to", func(ctx context.Context) {
		reconcile(ctx)
		pods := g.addPods(ctx, "a", "b")
		settle(ctx)
		g.publish(ctx)
		reconcile(ctx)
		Expect(condition(g.pool(ctx), v1alpha1.ConditionConfigSynced)).To(Equal("True/AllPodsSynced"))
		before := g.pool(ctx).ResourceVersion
		pods[1].Stop()
		replace()
		reconcile(ctx)
		Expect(g.pool(ctx).ResourceVersion).To(Equal(before))
		later = 31 * time.Second
		reconcile(ctx)
		Expect(condition(g.pool(ctx), v1alpha1.ConditionConfigSynced)).NotTo(Equal("True/AllPodsSynced"))
	})

	It("does not overwrite a ConfigMap that changed, and pushes nothing", func(ctx context.Context) {
		reconcile(ctx)
		pods := g.addPods(ctx, "a", "b")
		for range 3 {
			reconcile(ctx)
		}
		Expect(pods[0].Limit("main")).To(Equal(int32(10)))
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].Limits.MaxOpen = 6 })
		pushes := pods[0].Pushes()
		once("ConfigMap", func(ctx context.Context) {
			configMap := get(ctx, g.namespace, poolName+"-pooler", &corev1.ConfigMap{})
			configMap.Annotations = map[string]string{"example.com/was": "here"}
			Expect(cluster.Update(ctx, configMap)).To(Succeed())
		})
		ledger := g.document(ctx).Ledger
		reconcile(ctx)
		Expect(g.document(ctx).Ledger).To(Equal(ledger))
		Expect(pods[0].Pushes()).To(Equal(pushes))

		By("doing it in the next pass")
		reconcile(ctx)
		Expect(pods[0].Limit("main")).To(Equal(int32(3)))
	})

	It("does not overwrite a ConfigMap that another operator has just made", func(ctx context.Context) {
		var made *corev1.ConfigMap
		once("ConfigMap", func(ctx context.Context) {
			made = &corev1.ConfigMap{ObjectMeta: meta(g.namespace, poolName+"-pooler"), Data: map[string]string{"config.json": "{}", "ledger.json": `{"version":0}`}}
			Expect(ctrl.SetControllerReference(g.pool(ctx), made, scheme)).To(Succeed())
			Expect(cluster.Create(ctx, made)).To(Succeed())
		})
		reconcile(ctx)
		Expect(get(ctx, g.namespace, made.Name, &corev1.ConfigMap{}).ResourceVersion).To(Equal(made.ResourceVersion))

		By("going on from what the other wrote")
		reconcile(ctx)
		reconcile(ctx)
		Expect(g.document(ctx).Config.Pool).To(Equal(g.namespace + "/" + poolName))
	})

	It("does not take over an object that somebody has just made", func(ctx context.Context) {
		foreign := &corev1.Service{ObjectMeta: meta(g.namespace, poolName), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
		once("Service", func(ctx context.Context) { Expect(cluster.Create(ctx, foreign)).To(Succeed()) })
		reconcile(ctx)
		Expect(get(ctx, g.namespace, poolName, &corev1.Service{}).ResourceVersion).To(Equal(foreign.ResourceVersion))
		reconcile(ctx)
		Expect(g.conditionOf(ctx, v1alpha1.ConditionStalled)()).To(Equal("True/NameClash"))
	})

	It("does not take over an object that has taken the place of a child", func(ctx context.Context) {
		reconcile(ctx)
		foreign := &corev1.Service{ObjectMeta: meta(g.namespace, poolName), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].ListenPort = 6543 })
		once("Service", func(ctx context.Context) {
			Expect(cluster.Delete(ctx, get(ctx, g.namespace, poolName, &corev1.Service{}))).To(Succeed())
			Expect(cluster.Create(ctx, foreign)).To(Succeed())
		})
		reconcile(ctx)
		Expect(get(ctx, g.namespace, poolName, &corev1.Service{}).ResourceVersion).To(Equal(foreign.ResourceVersion))
	})

	It("does not write a status that was made of an older spec", func(ctx context.Context) {
		reconcile(ctx)
		generation := g.pool(ctx).Generation
		once("PodDisruptionBudget", func(ctx context.Context) {
			g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Replicas = new(int32(4)) })
		})
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) {
			pool.Spec.Replicas, pool.Spec.Rollout.DrainTimeoutSeconds = new(int32(3)), 5
			pool.Spec.Rollout.MaxUnavailable = new(intstr.FromInt32(2))
		})
		reconcile(ctx)
		Expect(g.pool(ctx).Status.ObservedGeneration).To(Equal(generation))
		reconcile(ctx)
		Expect(g.pool(ctx).Status.ObservedGeneration).To(Equal(g.pool(ctx).Generation))
	})
})
