package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.Credentials.SecretRef;
import dev.clickpipe.api.Tls.SecretKey;
import dev.clickpipe.operator.Plan.JobRef;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.PodTemplateSpec;
import io.fabric8.kubernetes.api.model.PodTemplateSpecBuilder;
import io.fabric8.kubernetes.api.model.Probe;
import io.fabric8.kubernetes.api.model.ProbeBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.ResourceRequirementsBuilder;
import io.fabric8.kubernetes.api.model.VolumeProjection;
import io.fabric8.kubernetes.api.model.VolumeProjectionBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A pipe's children as they shall be. Pure: the same pipe and settings give the same objects. */
record Worker(Settings settings) {

    static final String COMPONENT = "app.kubernetes.io/component";
    static final String MANAGED_BY = "app.kubernetes.io/managed-by";
    static final String OPERATOR = "clickpipe-operator";

    /** Full name of the pipe; the instance label may be shortened. */
    static final String PIPE = "clickpipe.dev/pipe";
    /** Key of the {@link Manifest} that a pod works on. On a Deployment's pods, a new key is a new pod. */
    static final String CONFIG = "clickpipe.dev/config";

    static final String TEMPLATE = "clickpipe.dev/template";
    static final String ATTEMPT = "clickpipe.dev/attempt";
    /** The generation of the spec that a Job was made for. */
    static final String GENERATION = "clickpipe.dev/generation";

    /** Long enough to read a finished worker's log, and for the operator to be away. */
    private static final int SECONDS_AFTER_FINISHED = 3600;
    /**
     * How often Kubernetes replaces a pod of a run that several share, so that the others go on. A run of one pod it never repeats:
     * the operator decides.
     */
    private static final int REPLACEMENTS = 6;
    /** As job and pod names and label values have it (Kubernetes documentation, "Object Names and IDs"). */
    private static final int NAME_LIMIT = 63;

    private static final ResourceRequirements RESOURCES = new ResourceRequirementsBuilder()
            .addToRequests("cpu", new Quantity("100m"))
            .addToRequests("memory", new Quantity("256Mi"))
            .addToLimits("memory", new Quantity("512Mi"))
            .build();

    static String name(JobRef ref, ClickPipe pipe) {
        return name(pipe, "-" + ref.role().word() + "-" + ref.key() + "-" + ref.attempt());
    }

    /** 0 where nobody counts: in a manifest that never saw a cluster. */
    static long generation(ClickPipe pipe) {
        var generation = pipe.getMetadata().getGeneration();
        return generation == null ? 0 : generation;
    }

    static String deploymentName(ClickPipe pipe) {
        return name(pipe, "-" + Role.CDC.word());
    }

    static String configMapName(ClickPipe pipe, Role role, String key) {
        return name(pipe, "-" + role.word() + "-" + key);
    }

    /** The pipe file of one role. Immutable: another content has another name. */
    ConfigMap configMap(ClickPipe pipe, Role role) {
        var manifest = Manifest.of(pipe, role);
        return new ConfigMapBuilder()
                .withMetadata(metadata(pipe, role, configMapName(pipe, role, manifest.key()), Map.of()))
                .withImmutable(true)
                .withData(Map.of("pipe.yaml", manifest.yaml()))
                .build();
    }

    /**
     * A run of any role but the stream's. Where several pods share it, it is done as soon as one of them has found that all of it is
     * (Kubernetes documentation, "Parallel Jobs with a work queue").
     */
    Job job(ClickPipe pipe, JobRef ref) {
        var annotations = Map.of(
                CONFIG, ref.key(),
                ATTEMPT, String.valueOf(ref.attempt()),
                GENERATION, String.valueOf(generation(pipe)),
                TEMPLATE, template(pipe, ref.role()));
        int pods = pods(pipe, ref.role());
        return new JobBuilder()
                .withMetadata(metadata(pipe, ref.role(), name(ref, pipe), annotations))
                .withNewSpec()
                .withParallelism(pods == 1 ? null : Integer.valueOf(pods))
                .withBackoffLimit(pods == 1 ? 0 : REPLACEMENTS)
                .withTtlSecondsAfterFinished(SECONDS_AFTER_FINISHED)
                .withTemplate(podTemplate(pipe, ref.role(), ref.key(), settings.image()))
                .endSpec()
                .build();
    }

    /** The CDC worker: one pod, and never two at once. */
    Deployment deployment(ClickPipe pipe) {
        return new DeploymentBuilder()
                .withMetadata(metadata(pipe, Role.CDC, deploymentName(pipe), Map.of()))
                .withNewSpec()
                .withReplicas(1)
                .withRevisionHistoryLimit(1)
                .withNewStrategy()
                .withType("Recreate")
                .endStrategy()
                .withNewSelector()
                .addToMatchLabels("app.kubernetes.io/name", "clickpipe")
                .addToMatchLabels("app.kubernetes.io/instance", name(pipe, ""))
                .addToMatchLabels(COMPONENT, Role.CDC.word())
                .endSelector()
                .withTemplate(
                        podTemplate(pipe, Role.CDC, Manifest.of(pipe, Role.CDC).key(), settings.image()))
                .endSpec()
                .build();
    }

    /**
     * Stands for everything that the pipe's author can change about a worker's pod. Not for the image: an upgrade of the
     * operator disturbs no run that is going well.
     */
    String template(ClickPipe pipe, Role role) {
        return Manifest.digest(podTemplate(pipe, role, Manifest.of(pipe, role).key(), ""));
    }

    private PodTemplateSpec podTemplate(ClickPipe pipe, Role role, String key, String image) {
        var workers = pipe.getSpec().workers();
        var labels = new TreeMap<>(workers.labels());
        labels.putAll(labels(pipe, role));
        var annotations = new TreeMap<>(workers.annotations());
        annotations.put(PIPE, pipe.getMetadata().getName());
        annotations.put(CONFIG, key);
        return new PodTemplateSpecBuilder()
                .withNewMetadata()
                .withLabels(labels)
                .withAnnotations(annotations)
                .endMetadata()
                .withNewSpec()
                .withRestartPolicy(role == Role.CDC ? "Always" : "Never")
                .withTerminationGracePeriodSeconds(30L)
                .withAutomountServiceAccountToken(false)
                .withEnableServiceLinks(false)
                .withNewSecurityContext()
                .withRunAsNonRoot(true)
                .withNewSeccompProfile()
                .withType("RuntimeDefault")
                .endSeccompProfile()
                .endSecurityContext()
                .withNodeSelector(workers.nodeSelector().isEmpty() ? null : new TreeMap<>(workers.nodeSelector()))
                .withTolerations(workers.tolerations())
                .withAffinity(workers.affinity())
                .withPriorityClassName(workers.priorityClassName())
                .withImagePullSecrets(workers.imagePullSecrets())
                .addNewContainer()
                .withName("worker")
                .withImage(image)
                .withImagePullPolicy(settings.pullPolicy().orElse(null))
                .withArgs(arguments(pipe, role))
                .addNewPort()
                .withName("http")
                .withContainerPort(settings.port())
                .endPort()
                .withResources(workers.resources() == null ? RESOURCES : workers.resources())
                .withStartupProbe(health(2, 60))
                .withLivenessProbe(health(20, 6))
                .withReadinessProbe(role == Role.CDC ? health(5, 3) : null)
                .withTerminationMessagePath("/dev/termination-log")
                .withTerminationMessagePolicy("FallbackToLogsOnError")
                .withNewSecurityContext()
                .withAllowPrivilegeEscalation(false)
                .withReadOnlyRootFilesystem(true)
                .withNewCapabilities()
                .withDrop("ALL")
                .endCapabilities()
                .endSecurityContext()
                .addNewVolumeMount()
                .withName("pipe")
                .withMountPath("/etc/clickpipe/pipe")
                .withReadOnly(true)
                .endVolumeMount()
                .addNewVolumeMount()
                .withName("credentials")
                .withMountPath("/etc/clickpipe/credentials")
                .withReadOnly(true)
                .endVolumeMount()
                .addNewVolumeMount()
                .withName("tmp")
                .withMountPath("/tmp")
                .endVolumeMount()
                .endContainer()
                .addNewVolume()
                .withName("pipe")
                .withNewConfigMap()
                .withName(configMapName(pipe, role, key))
                .endConfigMap()
                .endVolume()
                .addNewVolume()
                .withName("credentials")
                .withNewProjected()
                .withSources(credentials(pipe))
                .endProjected()
                .endVolume()
                .addNewVolume()
                .withName("tmp")
                .withNewEmptyDir()
                .endEmptyDir()
                .endVolume()
                .endSpec()
                .build();
    }

    /** How many pods share a run. */
    static int pods(ClickPipe pipe, Role role) {
        return role == Role.SNAPSHOT ? pipe.getSpec().workers().snapshotParallelism() : 1;
    }

    private List<String> arguments(ClickPipe pipe, Role role) {
        var arguments = new ArrayList<>(List.of(
                role.word(),
                "--pipe=/etc/clickpipe/pipe/pipe.yaml",
                "--credentials=/etc/clickpipe/credentials",
                "--http-port=" + settings.port(),
                "--log-format=" + settings.logFormat(),
                "--termination-message=/dev/termination-log"));
        if (pods(pipe, role) > 1) {
            arguments.add("--workers=" + pods(pipe, role));
        }
        if (role == Role.CDC) {
            // What a person has to mend it says in its status, and goes on when that is done.
            arguments.add("--keep-trying");
        }
        return arguments;
    }

    private static Probe health(int periodSeconds, int failureThreshold) {
        return new ProbeBuilder()
                .withNewHttpGet()
                .withPath("/healthz")
                .withNewPort("http")
                .endHttpGet()
                .withPeriodSeconds(periodSeconds)
                .withTimeoutSeconds(5)
                .withFailureThreshold(failureThreshold)
                .build();
    }

    /** Files DIR/{postgres,clickhouse}/{username,password,ca.crt}, which the kubelet keeps as the Secrets are. */
    private static List<VolumeProjection> credentials(ClickPipe pipe) {
        var postgres = pipe.getSpec().source().postgres();
        var clickHouse = pipe.getSpec().destination().clickhouse();
        var sources = new ArrayList<VolumeProjection>();
        sources.add(login("postgres", postgres.credentials().secretRef()));
        if (postgres.tls().ca() != null) {
            sources.add(ca("postgres", postgres.tls().ca()));
        }
        sources.add(login("clickhouse", clickHouse.credentials().secretRef()));
        if (clickHouse.tls() != null && clickHouse.tls().ca() != null) {
            sources.add(ca("clickhouse", clickHouse.tls().ca()));
        }
        return sources;
    }

    private static VolumeProjection login(String directory, SecretRef secret) {
        return new VolumeProjectionBuilder()
                .withNewSecret()
                .withName(secret.name())
                .addNewItem()
                .withKey(secret.usernameKey())
                .withPath(directory + "/username")
                .endItem()
                .addNewItem()
                .withKey(secret.passwordKey())
                .withPath(directory + "/password")
                .endItem()
                .endSecret()
                .build();
    }

    private static VolumeProjection ca(String directory, SecretKey ca) {
        return new VolumeProjectionBuilder()
                .withNewSecret()
                .withName(ca.name())
                .addNewItem()
                .withKey(ca.key())
                .withPath(directory + "/ca.crt")
                .endItem()
                .endSecret()
                .build();
    }

    private static ObjectMeta metadata(ClickPipe pipe, Role role, String name, Map<String, String> annotations) {
        return new ObjectMetaBuilder()
                .withNamespace(pipe.getMetadata().getNamespace())
                .withName(name)
                .withLabels(labels(pipe, role))
                .withAnnotations(annotations.isEmpty() ? null : new TreeMap<>(annotations))
                .withOwnerReferences(owner(pipe))
                .build();
    }

    private static OwnerReference owner(ClickPipe pipe) {
        return new OwnerReferenceBuilder()
                .withApiVersion(pipe.getApiVersion())
                .withKind(pipe.getKind())
                .withName(pipe.getMetadata().getName())
                .withUid(pipe.getMetadata().getUid())
                .withController(true)
                .build();
    }

    private static Map<String, String> labels(ClickPipe pipe, Role role) {
        var labels = new LinkedHashMap<String, String>();
        labels.put("app.kubernetes.io/name", "clickpipe");
        labels.put("app.kubernetes.io/instance", name(pipe, ""));
        labels.put(COMPONENT, role.word());
        labels.put("app.kubernetes.io/part-of", "clickpipe");
        labels.put(MANAGED_BY, OPERATOR);
        return labels;
    }

    private static String name(ClickPipe pipe, String suffix) {
        var name = pipe.getMetadata().getName();
        if (name.length() + suffix.length() <= NAME_LIMIT) {
            return name + suffix;
        }
        var kept = name.substring(0, NAME_LIMIT - suffix.length() - 9).replaceFirst("[-.]+$", "");
        return kept + "-" + Manifest.digest(name) + suffix;
    }
}
