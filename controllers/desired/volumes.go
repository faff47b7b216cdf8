package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/pooler/podapi"
)

// Where pods find things.
const (
	configDir  = "/etc/weir/config"
	configFile = configDir + "/" + podapi.ConfigKey
	secretsDir = "/etc/weir/secrets"
	stateDir   = "/var/lib/weir"

	stateVolume = "state"
)

// SecretNames are the Secrets that the pool refers to, each once and in order.
func SecretNames(pool *v1alpha1.ConnectionPool) []string {
	tls := pool.Spec.Listener.TLS
	names := []string{tls.SecretRef.Name, tls.ClientCASecretRef.Name}
	for i := range pool.Spec.Destinations {
		d := &pool.Spec.Destinations[i]
		names = append(names, d.TLS.CASecretRef.Name, d.TLS.CertificateSecretRef.Name,
			d.PostgreSQL.Auth.UsersSecretRef.Name, d.PostgreSQL.Auth.ServerUserSecretRef.Name,
			d.PostgreSQL.Auth.Lookup.UserSecretRef.Name)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

func volumes(pool *v1alpha1.ConnectionPool) []*corev1ac.VolumeApplyConfiguration {
	list := []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName("config").WithConfigMap(corev1ac.ConfigMapVolumeSource().
			WithName(pool.ChildName()).
			WithItems(corev1ac.KeyToPath().WithKey(podapi.ConfigKey).WithPath(podapi.ConfigKey))),
		corev1ac.Volume().WithName(stateVolume).WithEmptyDir(corev1ac.EmptyDirVolumeSource().
			WithSizeLimit(resource.MustParse("16Mi"))),
	}
	for _, name := range SecretNames(pool) {
		list = append(list, corev1ac.Volume().WithName(volumeName(name)).WithSecret(corev1ac.SecretVolumeSource().
			WithSecretName(name).
			WithOptional(true).
			WithDefaultMode(0o440)))
	}
	return list
}

func mounts(pool *v1alpha1.ConnectionPool) []*corev1ac.VolumeMountApplyConfiguration {
	list := []*corev1ac.VolumeMountApplyConfiguration{
		corev1ac.VolumeMount().WithName("config").WithMountPath(configDir).WithReadOnly(true),
		corev1ac.VolumeMount().WithName(stateVolume).WithMountPath(stateDir),
	}
	for _, name := range SecretNames(pool) {
		list = append(list, corev1ac.VolumeMount().
			WithName(volumeName(name)).
			WithMountPath(path.Join(secretsDir, name)).
			WithReadOnly(true))
	}
	return list
}

// volumeName is short enough and legal for a volume, whatever the Secret is called.
func volumeName(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "secret-" + hex.EncodeToString(sum[:5])
}
