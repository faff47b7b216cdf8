package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

const (
	lagSeconds   = 5  // a leaving pod still takes clients while kube-proxies learn that it leaves
	closeSeconds = 10 // and then closes what is left

	// progressSeconds is how long a rollout may stand still, on top of the drain that a new pod may have to wait for.
	progressSeconds = 600

	revisions = 3 // ReplicaSets that are kept for a person to look back
)

// Live is what the pool's Deployment is at present. The zero Live is that there is none.
type Live struct {
	Image        string // of the pooler container
	TemplateHash string // AnnotationTemplateHash
}

// Deployment runs the pooler pods. The image is the operator's own, for pools that name none; a Deployment that is there
// keeps its image until something else in the template changes.
func Deployment(pool *v1alpha1.ConnectionPool, image string, live Live) (*appsv1ac.DeploymentApplyConfiguration, error) {
	hash, err := templateHash(pool)
	if err != nil {
		return nil, err
	}
	template, err := podTemplate(pool, pinned(pool, image, live, hash))
	if err != nil {
		return nil, err
	}
	surge, unavailable := Strategy(pool)
	return appsv1ac.Deployment(pool.ChildName(), pool.Namespace).
		WithLabels(Labels(pool)).
		WithAnnotations(map[string]string{v1alpha1.AnnotationTemplateHash: hash}).
		WithOwnerReferences(owner(pool)).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(pool.Replicas()).
			WithSelector(selector(pool)).
			WithRevisionHistoryLimit(revisions).
			WithProgressDeadlineSeconds(progressSeconds + pool.Spec.Rollout.DrainSeconds()).
			WithStrategy(appsv1ac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
					WithMaxSurge(surge).
					WithMaxUnavailable(unavailable))).
			WithTemplate(template)), nil
}

// pinned is the image of the pods.
func pinned(pool *v1alpha1.ConnectionPool, image string, live Live, hash string) string {
	switch {
	case pool.Spec.Template.Image != "":
		return pool.Spec.Template.Image
	case live.Image != "" && live.TemplateHash == hash:
		return live.Image
	default:
		return image
	}
}

// templateHash is that of the pod template with the image that the pool names, or none.
func templateHash(pool *v1alpha1.ConnectionPool) (string, error) {
	template, err := podTemplate(pool, pool.Spec.Template.Image)
	if err != nil {
		return "", err
	}
	return hashOf(template)
}

func hashOf(template *corev1ac.PodTemplateSpecApplyConfiguration) (string, error) {
	text, err := json.Marshal(template)
	if err != nil {
		return "", fmt.Errorf("hash the pod template: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// Strategy is how many pods a rollout adds and removes at a time. Unless the pool says otherwise it removes none before
// another has come: a pool of one pod goes on serving, too.
func Strategy(pool *v1alpha1.ConnectionPool) (surge, unavailable intstr.IntOrString) {
	surge, unavailable = pool.Spec.Rollout.Surge(), pool.Spec.Rollout.Unavailable()
	added, err := intstr.GetScaledValueFromIntOrPercent(&surge, int(pool.Replicas()), true)
	if err != nil {
		added = 1 // the API's rules keep this out; the Deployment's own will say so
	}
	for i := range pool.Spec.Destinations {
		if int64(pool.Spec.MaxOpen(&pool.Spec.Destinations[i])) < int64(pool.Replicas())+int64(added) {
			return intstr.FromInt32(0), intstr.FromInt32(1)
		}
	}
	if pool.Spec.Rollout.MaxUnavailable == nil && added > 0 {
		unavailable = intstr.FromInt32(0)
	}
	return surge, unavailable
}
