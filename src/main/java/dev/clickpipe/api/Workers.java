package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.crd.generator.annotation.PreserveUnknownFields;
import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.LocalObjectReference;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import java.util.Map;

/** How the pods of a pipe run: the narrow set of pod settings that clusters differ in. */
public record Workers(
        ResourceRequirements resources,
        Map<String, String> nodeSelector,
        List<Toleration> tolerations,
        @PreserveUnknownFields Affinity affinity,

        @JsonPropertyDescription("Added to every worker pod.")
        Map<String, String> labels,

        @JsonPropertyDescription("Added to every worker pod.")
        Map<String, String> annotations,

        String priorityClassName,
        List<LocalObjectReference> imagePullSecrets) {

    public static final Workers DEFAULT = new Workers(null, null, null, null, null, null, null, null);

    public Workers {
        nodeSelector = nodeSelector == null ? Map.of() : Map.copyOf(nodeSelector);
        tolerations = tolerations == null ? List.of() : List.copyOf(tolerations);
        labels = labels == null ? Map.of() : Map.copyOf(labels);
        annotations = annotations == null ? Map.of() : Map.copyOf(annotations);
        imagePullSecrets = imagePullSecrets == null ? List.of() : List.copyOf(imagePullSecrets);
    }
}
