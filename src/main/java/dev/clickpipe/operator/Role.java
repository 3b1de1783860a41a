package dev.clickpipe.operator;

import io.fabric8.kubernetes.api.model.HasMetadata;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** What a worker is started for: the run mode on its command line and the component label of its pods. */
enum Role {
    SETUP,
    SNAPSHOT,
    /** Puts tables that were built anew in the places of the live ones, where no stream does. */
    RESYNC,
    CDC,
    /** Looks at the slot of a paused pipe. */
    INSPECT,
    TEARDOWN;

    String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** By its component label; empty for what another version of the operator made. */
    static Optional<Role> of(HasMetadata object) {
        var component = object.getMetadata().getLabels().get(Worker.COMPONENT);
        return Arrays.stream(values())
                .filter(role -> role.word().equals(component))
                .findFirst();
    }
}
