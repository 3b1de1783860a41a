package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.LocalObjectReference;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import java.util.Map;

/** How the pods of a pipe run: the narrow set of pod settings that clusters differ in. */
@ValidationRule(
        value =
                "!has(self.labels) || self.labels.all(k, !k.startsWith('app.kubernetes.io/') && !k.startsWith('clickpipe.dev/'))",
        fieldPath = ".labels",
        message = "labels app.kubernetes.io/* and clickpipe.dev/* are the operator's own: it finds the workers by them")
public record Workers(
        @Default("1")
        @Min(1)
        @Max(16)
        @JsonPropertyDescription(
                "Pods that share one initial load. Each reads the source with as many connections as snapshotNumberOfParallelTables times initialLoadParallelism. A table that has to be read in one session, append-only or without a stream, is one pod's.")
        Integer snapshotParallelism,

        @JsonPropertyDescription("Requests and limits of every worker container, as in a pod.")
        ResourceRequirements resources,

        @JsonPropertyDescription("Labels of the nodes that workers may run on, as in a pod.")
        Map<String, String> nodeSelector,

        @Size(max = 64) @JsonPropertyDescription("Taints that workers tolerate, as in a pod.")
        List<Toleration> tolerations,

        @JsonPropertyDescription("Which nodes and neighbours workers prefer or need, as in a pod.")
        Affinity affinity,

        @JsonPropertyDescription("Added to every worker pod.")
        Map<String, String> labels,

        @JsonPropertyDescription("Added to every worker pod.")
        Map<String, String> annotations,

        @Size(max = 253) @JsonPropertyDescription("The workers' PriorityClass.")
        String priorityClassName,

        @Size(max = 16)
        @JsonPropertyDescription("Secrets in the pipe's own namespace with which the workers' image is pulled.")
        List<LocalObjectReference> imagePullSecrets) {

    public static final Workers DEFAULT = new Workers(null, null, null, null, null, null, null, null, null);

    public Workers {
        snapshotParallelism = snapshotParallelism == null ? 1 : snapshotParallelism;
        nodeSelector = nodeSelector == null ? Map.of() : Map.copyOf(nodeSelector);
        tolerations = tolerations == null ? List.of() : List.copyOf(tolerations);
        labels = labels == null ? Map.of() : Map.copyOf(labels);
        annotations = annotations == null ? Map.of() : Map.copyOf(annotations);
        imagePullSecrets = imagePullSecrets == null ? List.of() : List.copyOf(imagePullSecrets);
    }
}
