package dev.clickpipe.helm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.marcnuri.helm.Helm;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.rbac.ClusterRole;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBinding;
import io.fabric8.kubernetes.api.model.rbac.PolicyRule;
import io.fabric8.kubernetes.api.model.rbac.Role;
import io.fabric8.kubernetes.api.model.rbac.RoleBinding;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChartTest {
    private static final Path CHART = Path.of("helm/clickpipe-operator");
    private static final String SHOP = "watchNamespaces[0]=shop";
    private static final String SALES = "watchNamespaces[1]=sales";

    @Test
    void lintsWithoutAWarning() {
        var result = new Helm(CHART).lint().strict().call();
        assertThat(result.isFailed()).as(result.getMessages().toString()).isFalse();
    }

    @Test
    void byDefaultItServesAllNamespaces() {
        var objects = render();
        assertThat(kinds(objects))
                .containsExactlyInAnyOrder(
                        "CustomResourceDefinition clickpipes.clickpipe.dev",
                        "ServiceAccount pipes-clickpipe-operator",
                        "ClusterRole pipes-clickpipe-operator",
                        "ClusterRoleBinding pipes-clickpipe-operator",
                        "ClusterRole pipes-clickpipe-operator-view",
                        "ClusterRole pipes-clickpipe-operator-edit",
                        "Deployment pipes-clickpipe-operator");
        assertThat(operator(objects).getEnv()).noneMatch(env -> env.getName().contains("NAMESPACES"));
    }

    @Test
    void withAListOfNamespacesItMayDoNothingElsewhere() {
        var objects = render(SHOP, SALES, "rbac.aggregateClusterRoles=false");
        assertThat(objects).noneMatch(o -> o instanceof ClusterRole || o instanceof ClusterRoleBinding);
        assertThat(all(Role.class, objects))
                .extracting(role -> role.getMetadata().getNamespace())
                .containsExactly("shop", "sales");
        assertThat(all(RoleBinding.class, objects)).allSatisfy(binding -> {
            assertThat(binding.getRoleRef().getKind()).isEqualTo("Role");
            assertThat(binding.getSubjects().getFirst().getNamespace()).isEqualTo("pipes-system");
        });
        assertThat(operator(objects).getEnv()).contains(new EnvVar("CLICKPIPE_WATCH_NAMESPACES", "shop,sales", null));
    }

    @Test
    void itMayDoWhatItDoesAndNoMore() {
        var everywhere = rules(
                named(ClusterRole.class, render(), "pipes-clickpipe-operator").getRules());
        assertThat(everywhere)
                .containsOnlyKeys(
                        "clickpipes", "clickpipes/status", "jobs", "deployments", "configmaps", "pods", "events");
        assertThat(everywhere.get("pods")).containsExactly("get", "list", "watch");
        assertThat(everywhere.get("clickpipes")).doesNotContain("create", "delete");
        assertThat(everywhere.values()).allSatisfy(verbs -> assertThat(verbs).doesNotContain("*"));

        var inNamespace = rules(all(Role.class, render(SHOP, SALES)).getFirst().getRules());
        assertThat(inNamespace).isEqualTo(everywhere);
    }

    @Test
    void whoMayViewOrEditANamespaceMayViewOrEditItsPipes() {
        var objects = render();
        var view = named(ClusterRole.class, objects, "pipes-clickpipe-operator-view");
        assertThat(view.getMetadata().getLabels()).containsEntry("rbac.authorization.k8s.io/aggregate-to-view", "true");
        assertThat(rules(view.getRules()).get("clickpipes")).containsExactly("get", "list", "watch");
        var edit = named(ClusterRole.class, objects, "pipes-clickpipe-operator-edit");
        assertThat(edit.getMetadata().getLabels())
                .doesNotContainKey("rbac.authorization.k8s.io/aggregate-to-view")
                .containsEntry("rbac.authorization.k8s.io/aggregate-to-edit", "true");
        assertThat(rules(edit.getRules())).containsOnlyKeys("clickpipes"); // its status is the operator's
    }

    @Test
    void thePodIsAllowedUnderTheRestrictedPodSecurityStandard() {
        var pod = one(Deployment.class, render()).getSpec().getTemplate().getSpec();
        assertThat(pod.getSecurityContext().getRunAsNonRoot()).isTrue();
        assertThat(pod.getSecurityContext().getSeccompProfile().getType()).isEqualTo("RuntimeDefault");
        assertThat(pod.getVolumes())
                .allSatisfy(volume -> assertThat(volume.getEmptyDir()).isNotNull());
        var container = pod.getContainers().getFirst();
        assertThat(container.getSecurityContext().getAllowPrivilegeEscalation()).isFalse();
        assertThat(container.getSecurityContext().getReadOnlyRootFilesystem()).isTrue();
        assertThat(container.getSecurityContext().getCapabilities().getDrop()).containsExactly("ALL");
    }

    @Test
    void thereIsNeverMoreThanOneOperator() {
        var spec = one(Deployment.class, render()).getSpec();
        assertThat(spec.getReplicas()).isEqualTo(1);
        assertThat(spec.getStrategy().getType()).isEqualTo("Recreate");
    }

    @Test
    void workersRunTheOperatorsImage() {
        var appVersion = "clickpipe-operator:0.1.0";
        assertThat(images(render())).containsExactly(appVersion, appVersion);
        assertThat(images(render("image.repository=registry.example/pipes", "image.tag=1.2")))
                .containsExactly("registry.example/pipes:1.2", "registry.example/pipes:1.2");
        var digest = "sha256:" + "0".repeat(64);
        assertThat(images(render("image.digest=" + digest, "image.tag=1.2")))
                .containsExactly("clickpipe-operator@" + digest, "clickpipe-operator@" + digest);
    }

    /** A Deployment's selector cannot change, so an upgrade must not want it to. */
    @Test
    void theSelectorSaysNothingOfVersions() {
        assertThat(one(Deployment.class, render()).getSpec().getSelector().getMatchLabels())
                .containsOnlyKeys("app.kubernetes.io/name", "app.kubernetes.io/instance");
    }

    @Test
    void theCrdOutlivesTheRelease() throws IOException {
        var rendered = one(CustomResourceDefinition.class, render());
        assertThat(rendered.getMetadata().getAnnotations()).containsEntry("helm.sh/resource-policy", "keep");
        rendered.getMetadata().setAnnotations(null);
        var committed = Serialization.unmarshal(
                Files.readString(Path.of("crds/clickpipes.clickpipe.dev-v1.yml")), CustomResourceDefinition.class);
        committed.getMetadata().setAnnotations(null);
        assertThat(rendered).isEqualTo(committed);

        assertThat(render("crds.create=false")).noneMatch(CustomResourceDefinition.class::isInstance);
    }

    @Test
    void everyValueArrives() {
        var objects = render(
                "fullnameOverride=pipes",
                "serviceAccount.name=someone",
                "serviceAccount.annotations.a=b",
                "imagePullSecrets[0].name=pull",
                "image.pullPolicy=Always",
                "logFormat=json",
                "podLabels.team=data",
                "podAnnotations.note=hello",
                "nodeSelector.disk=ssd",
                "tolerations[0].key=dedicated",
                "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=zone",
                "priorityClassName=high",
                "extraEnv[0].name=JAVA_TOOL_OPTIONS",
                "extraEnv[0].value=-Xmx128m",
                "resources.limits.memory=1Gi");
        assertThat(one(ServiceAccount.class, objects).getMetadata().getName()).isEqualTo("someone");
        assertThat(one(ServiceAccount.class, objects).getMetadata().getAnnotations())
                .containsEntry("a", "b");
        assertThat(one(ClusterRoleBinding.class, objects)
                        .getSubjects()
                        .getFirst()
                        .getName())
                .isEqualTo("someone");
        var template = one(Deployment.class, objects).getSpec().getTemplate();
        assertThat(template.getMetadata().getLabels()).containsEntry("team", "data");
        assertThat(template.getMetadata().getAnnotations()).containsEntry("note", "hello");
        var pod = template.getSpec();
        assertThat(pod.getServiceAccountName()).isEqualTo("someone");
        assertThat(pod.getImagePullSecrets().getFirst().getName()).isEqualTo("pull");
        assertThat(pod.getNodeSelector()).containsEntry("disk", "ssd");
        assertThat(pod.getTolerations().getFirst().getKey()).isEqualTo("dedicated");
        assertThat(pod.getAffinity().getNodeAffinity()).isNotNull();
        assertThat(pod.getPriorityClassName()).isEqualTo("high");
        var container = operator(objects);
        assertThat(container.getImagePullPolicy()).isEqualTo("Always");
        assertThat(container.getEnv())
                .contains(
                        new EnvVar("CLICKPIPE_WORKER_IMAGE_PULL_POLICY", "Always", null),
                        new EnvVar("CLICKPIPE_LOG_FORMAT", "json", null),
                        new EnvVar("QUARKUS_LOG_CONSOLE_JSON_ENABLED", "true", null),
                        new EnvVar("JAVA_TOOL_OPTIONS", "-Xmx128m", null));
        assertThat(container.getResources().getLimits().get("memory").toString())
                .isEqualTo("1Gi");
    }

    @Test
    void podMonitorsOnRequest() {
        assertThat(kinds(render("metrics.podMonitor.enabled=true")))
                .contains("PodMonitor pipes-clickpipe-operator", "PodMonitor pipes-clickpipe-operator-workers");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "image.tagg=1.2",
                "image.pullPolicy=Sometimes",
                "image.digest=sha256:abc",
                "logFormat=xml",
                "watchNamespaces[0]=Shop",
                "replicas=2"
            })
    void refusesValuesThatMeanNothing(String setting) {
        assertThatThrownBy(() -> render(setting)).hasMessageContaining(setting.split("\\W")[0]);
    }

    private static List<HasMetadata> render(String... settings) {
        var command = new Helm(CHART).template().withName("pipes").withNamespace("pipes-system");
        for (var setting : settings) {
            var parts = setting.split("=", 2);
            command.set(parts[0], parts[1]);
        }
        return Arrays.stream(command.call().split("(?m)^---$"))
                .filter(document -> document.lines().anyMatch(line -> line.startsWith("kind:")))
                .map(document -> Serialization.unmarshal(document, HasMetadata.class))
                .toList();
    }

    private static List<String> kinds(List<HasMetadata> objects) {
        return objects.stream()
                .map(o -> o.getKind() + " " + o.getMetadata().getName())
                .toList();
    }

    private static <T extends HasMetadata> List<T> all(Class<T> type, List<HasMetadata> objects) {
        return objects.stream().filter(type::isInstance).map(type::cast).toList();
    }

    private static <T extends HasMetadata> T named(Class<T> type, List<HasMetadata> objects, String name) {
        return all(type, objects).stream()
                .filter(o -> o.getMetadata().getName().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static <T extends HasMetadata> T one(Class<T> type, List<HasMetadata> objects) {
        return all(type, objects).getFirst();
    }

    private static Container operator(List<HasMetadata> objects) {
        return one(Deployment.class, objects)
                .getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst();
    }

    private static List<String> images(List<HasMetadata> objects) {
        var container = operator(objects);
        var workers = container.getEnv().stream()
                .filter(env -> env.getName().equals("CLICKPIPE_WORKER_IMAGE"))
                .findFirst()
                .orElseThrow();
        return List.of(container.getImage(), workers.getValue());
    }

    private static Map<String, List<String>> rules(Collection<PolicyRule> rules) {
        return rules.stream()
                .flatMap(rule -> rule.getResources().stream().map(resource -> Map.entry(resource, rule.getVerbs())))
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
    }
}
