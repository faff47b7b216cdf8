package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

var _ = Describe("an object of a child's name", func() {
	var g *ground

	BeforeEach(func(ctx context.Context) { g = newGround(ctx) })
	AfterEach(func(ctx context.Context) { g.standsStill(ctx) })

	labels := map[string]string{"app": "other"}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "other", Image: "other"}}},
	}
	selector := &metav1.LabelSelector{MatchLabels: labels}

	DescribeTable("that was not made for the pool is left alone", func(ctx context.Context, foreign client.Object, owner *metav1.OwnerReference) {
		foreign = foreign.DeepCopyObject().(client.Object)
		foreign.SetNamespace(g.namespace)
		if owner != nil {
			foreign.SetOwnerReferences([]metav1.OwnerReference{*owner})
		}
		Expect(cluster.Create(ctx, foreign)).To(Succeed())
		before := foreign.DeepCopyObject().(client.Object)
		g.startOperator()
		g.create(ctx)

		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(Equal("True/NameClash"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionReady)()).To(Equal("False/NameClash"))
		stalled := apimeta.FindStatusCondition(g.pool(ctx).Status.Conditions, v1alpha1.ConditionStalled)
		Expect(stalled.Message).To(And(ContainSubstring(foreign.GetName()), ContainSubstring("rename the pool")))
		if owner != nil {
			Expect(stalled.Message).To(ContainSubstring(owner.Name))
		}
		g.standsStill(ctx)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.GetResourceVersion()).To(Equal(before.GetResourceVersion()), "nothing of it was written")

		By("telling people once")
		Expect(g.events(ctx)).To(HaveKeyWithValue("Warning/NameClash", 1))

		By("going on when it is gone")
		Expect(cluster.Delete(ctx, foreign)).To(Succeed())
		g.poke(ctx)
		g.awaitChildren(ctx)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(BeEmpty())
	},
		Entry("Service", &corev1.Service{ObjectMeta: meta("", poolName), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}, nil),
		Entry("ConfigMap", &corev1.ConfigMap{ObjectMeta: meta("", poolName+"-pooler")}, nil),
		Entry("Deployment", &appsv1.Deployment{ObjectMeta: meta("", poolName+"-pooler"), Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}, nil),
		Entry("PodDisruptionBudget", &policyv1.PodDisruptionBudget{ObjectMeta: meta("", poolName+"-pooler"), Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector}}, nil),
		Entry("Deployment of somebody else", &appsv1.Deployment{ObjectMeta: meta("", poolName+"-pooler"), Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}},
			&metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Shop", Name: "the-shop", UID: "1", Controller: new(true)}),
	)

	It("makes no pods when it is the Service, because nobody could reach them", func(ctx context.Context) {
		Expect(cluster.Create(ctx, &corev1.Service{ObjectMeta: meta(g.namespace, poolName), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}})).To(Succeed())
		g.startOperator()
		g.create(ctx)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(Equal("True/NameClash"))
		Expect(apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKey{Namespace: g.namespace, Name: poolName + "-pooler"}, &appsv1.Deployment{}))).To(BeTrue())

		By("looking again by itself when it is gone")
		Expect(cluster.Delete(ctx, &corev1.Service{ObjectMeta: meta(g.namespace, poolName)})).To(Succeed())
		g.awaitChildren(ctx)
	})

	It("that belongs to a deleted pool of the same name is waited for", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		old := g.awaitChildren(ctx)
		Expect(cluster.Delete(ctx, g.pool(ctx))).To(Succeed())
		g.create(ctx)
		Consistently(g.conditionOf(ctx, v1alpha1.ConditionStalled), "1500ms").Should(BeEmpty())

		By("playing the garbage collector")
		for _, child := range old {
			Expect(cluster.Delete(ctx, child)).To(Succeed())
		}
		Eventually(func(now Gomega) {
			for _, child := range g.children() {
				now.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(child), child)).To(Succeed())
				now.Expect(metav1.IsControlledBy(child, g.pool(ctx))).To(BeTrue())
			}
		}).Should(Succeed())
	})
})

// events counts the events of the pool by type and reason.
func (g *ground) events(ctx context.Context) map[string]int {
	GinkgoHelper()
	list := &corev1.EventList{}
	Expect(cluster.List(ctx, list, client.InNamespace(g.namespace))).To(Succeed())
	counts := map[string]int{}
	for i := range list.Items {
		if list.Items[i].InvolvedObject.Kind == "ConnectionPool" {
			counts[list.Items[i].Type+"/"+list.Items[i].Reason]++
		}
	}
	return counts
}
