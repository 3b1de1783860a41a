package dev.clickpipe.api;

import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.Kind;
import io.fabric8.kubernetes.model.annotation.Plural;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Version;

/** One replication job: tables of one Postgres database into one ClickHouse database. */
@Group(ClickPipe.GROUP)
@Version(ClickPipe.VERSION)
@Kind(ClickPipe.KIND)
@Plural("clickpipes")
@ShortNames("pipe")
@AdditionalPrinterColumn(
        name = "Ready",
        jsonPath = ".status.conditions[?(@.type==\"Ready\")].status",
        type = AdditionalPrinterColumn.Type.STRING)
@AdditionalPrinterColumn(
        name = "Age",
        jsonPath = ".metadata.creationTimestamp",
        type = AdditionalPrinterColumn.Type.DATE)
public class ClickPipe extends CustomResource<ClickPipeSpec, ClickPipeStatus> implements Namespaced {
    public static final String GROUP = "clickpipe.dev";
    public static final String VERSION = "v1alpha1";
    public static final String KIND = "ClickPipe";

    private static final long serialVersionUID = 1L;

    // Records have no default constructor, so that fabric8's own initialisation would fail.
    @Override
    protected ClickPipeSpec initSpec() {
        return null;
    }

    @Override
    protected ClickPipeStatus initStatus() {
        return null;
    }
}
