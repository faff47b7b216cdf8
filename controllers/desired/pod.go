package desired

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

const (
	// ContainerName is the name of the pooler container.
	ContainerName = "pooler"

	// evictable tells the cluster autoscaler that what is in a volume may go with the pod.
	evictable = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

	program = "/pooler"
	userID  = 65532
)

func podTemplate(pool *v1alpha1.ConnectionPool, image string) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	template := pool.Spec.Template
	spec := corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(int64(lagSeconds + pool.Spec.Rollout.DrainSeconds() + closeSeconds)).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(userID).
			WithRunAsGroup(userID).
			WithFSGroup(userID).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithVolumes(volumes(pool)...)
	container, err := container(pool, image)
	if err != nil {
		return nil, err
	}
	spec.WithContainers(container)
	if err := place(spec, pool); err != nil {
		return nil, err
	}
	labels := maps.Clone(template.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, Labels(pool))
	return corev1ac.PodTemplateSpec().
		WithLabels(labels).
		WithAnnotations(template.Annotations).
		WithAnnotations(map[string]string{evictable: stateVolume}).
		WithSpec(spec), nil
}

func container(pool *v1alpha1.ConnectionPool, image string) (*corev1ac.ContainerApplyConfiguration, error) {
	resources, err := resources(pool.Spec.Template.Resources)
	if err != nil {
		return nil, err
	}
	return corev1ac.Container().
		WithName(ContainerName).
		WithImage(image).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithCommand(program).
		WithArgs("--config="+configFile, "--secrets-dir="+secretsDir, "--state-dir="+stateDir).
		WithEnv(corev1ac.EnvVar().WithName("POD_UID").WithValueFrom(corev1ac.EnvVarSource().
			WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath("metadata.uid")))).
		WithPorts(port("health", v1alpha1.HealthPort), port("control", v1alpha1.ControlPort)).
		WithReadinessProbe(probe("/readyz").WithPeriodSeconds(2).WithTimeoutSeconds(2).WithFailureThreshold(2)).
		WithLivenessProbe(probe("/healthz").WithPeriodSeconds(10).WithTimeoutSeconds(5).WithFailureThreshold(6)).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithRunAsNonRoot(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithResources(resources).
		WithVolumeMounts(mounts(pool)...), nil
}

func port(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

func probe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString("health")))
}

// resources are those of the pool, or enough for some thousand clients.
func resources(wanted corev1.ResourceRequirements) (*corev1ac.ResourceRequirementsApplyConfiguration, error) {
	if wanted.Limits != nil || wanted.Requests != nil || wanted.Claims != nil {
		return as[corev1ac.ResourceRequirementsApplyConfiguration](wanted, "resources")
	}
	return corev1ac.ResourceRequirements().
		WithRequests(corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("100m"),
			corev1.ResourceMemory: resource.MustParse("64Mi"),
		}).
		WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}), nil
}

// place says where the pods run.
func place(spec *corev1ac.PodSpecApplyConfiguration, pool *v1alpha1.ConnectionPool) error {
	template := pool.Spec.Template
	if len(template.NodeSelector) > 0 {
		spec.WithNodeSelector(template.NodeSelector)
	}
	if template.PriorityClassName != "" {
		spec.WithPriorityClassName(template.PriorityClassName)
	}
	wanted := template.Affinity
	if wanted == nil && len(template.TopologySpreadConstraints) == 0 {
		wanted = apartByZone(pool)
	}
	if wanted != nil {
		affinity, err := as[corev1ac.AffinityApplyConfiguration](wanted, "affinity")
		if err != nil {
			return err
		}
		spec.WithAffinity(affinity)
	}
	for _, t := range template.Tolerations {
		toleration, err := as[corev1ac.TolerationApplyConfiguration](t, "tolerations")
		if err != nil {
			return err
		}
		spec.WithTolerations(toleration)
	}
	return spreadOver(spec, pool)
}

// apartByZone asks for zones of their own. It is no spread constraint: where nodes have no zone, one would make the scheduler
// pass over these nodes when it spreads over hosts, too.
func apartByZone(pool *v1alpha1.ConnectionPool) *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey:   corev1.LabelTopologyZone,
				LabelSelector: &metav1.LabelSelector{MatchLabels: pool.PodLabels()},
			},
		}},
	}}
}

// spreadOver spreads the pods as the pool says, or over hosts where that is possible.
func spreadOver(spec *corev1ac.PodSpecApplyConfiguration, pool *v1alpha1.ConnectionPool) error {
	wanted := slices.Clone(pool.Spec.Template.TopologySpreadConstraints)
	if len(wanted) == 0 {
		wanted = []corev1.TopologySpreadConstraint{{
			TopologyKey:       corev1.LabelHostname,
			MaxSkew:           1,
			WhenUnsatisfiable: corev1.ScheduleAnyway,
			MatchLabelKeys:    []string{"pod-template-hash"},
		}}
	}
	for _, w := range wanted {
		constraint, err := as[corev1ac.TopologySpreadConstraintApplyConfiguration](w, "topologySpreadConstraints")
		if err != nil {
			return err
		}
		if w.LabelSelector == nil {
			constraint.LabelSelector = metav1ac.LabelSelector().WithMatchLabels(pool.PodLabels())
		}
		spec.WithTopologySpreadConstraints(constraint)
	}
	return nil
}

// as turns a type of the API into its apply configuration: they have the same JSON.
func as[T any](from any, field string) (*T, error) {
	text, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("read template.%s: %w", field, err)
	}
	to := new(T)
	if err := json.Unmarshal(text, to); err != nil {
		return nil, fmt.Errorf("read template.%s: %w", field, err)
	}
	return to, nil
}
