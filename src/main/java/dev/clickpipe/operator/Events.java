package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.EventBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.time.Instant;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Kubernetes Events of a pipe. What happens again counts up the event that is there: its name stands for what it says. An
 * event that can't be written is logged and forgotten: it never holds up the pipe.
 */
record Events(KubernetesClient client) {
    private static final Logger LOG = LoggerFactory.getLogger(Events.class);
    /** The API server refuses longer ones. */
    private static final int MESSAGE_LIMIT = 1024;

    enum Type {
        Normal,
        Warning
    }

    /** Something that may happen again: then the event that is there is counted up. */
    void emit(ClickPipe pipe, Type type, Cause cause, Instant now) {
        write(pipe, event(pipe, type, cause, type + cause.reason() + cause.message(), Status.time(now)), true);
    }

    /** Something that happens once: told again, after a restart, it stays one event. @param what stands for it */
    void emitOnce(ClickPipe pipe, Type type, Cause cause, String what, Instant now) {
        write(pipe, event(pipe, type, cause, what, Status.time(now)), false);
    }

    private void write(ClickPipe pipe, Event event, boolean again) {
        var namespace = pipe.getMetadata().getNamespace();
        try {
            var events = client.v1()
                    .events()
                    .inNamespace(namespace)
                    .withName(event.getMetadata().getName());
            var before = events.get();
            if (before == null) {
                client.v1().events().inNamespace(namespace).resource(event).create();
            } else if (again) {
                events.edit(e -> new EventBuilder(e)
                        .withCount((before.getCount() == null ? 1 : before.getCount()) + 1)
                        .withLastTimestamp(event.getLastTimestamp())
                        .build());
            }
        } catch (KubernetesClientException e) {
            LOG.warn(
                    "cannot write event {} of {}/{}: {}",
                    event.getReason(),
                    namespace,
                    pipe.getMetadata().getName(),
                    Cause.of(e).message());
        }
    }

    private static Event event(ClickPipe pipe, Type type, Cause cause, String what, String time) {
        var metadata = pipe.getMetadata();
        var message = cause.message().length() <= MESSAGE_LIMIT
                ? cause.message()
                : cause.message().substring(0, MESSAGE_LIMIT - 1) + "…";
        return new EventBuilder()
                .withNewMetadata()
                .withNamespace(metadata.getNamespace())
                .withName(metadata.getName() + "." + Manifest.digest(metadata.getUid() + what))
                .endMetadata()
                .withNewInvolvedObject()
                .withApiVersion(pipe.getApiVersion())
                .withKind(pipe.getKind())
                .withNamespace(metadata.getNamespace())
                .withName(metadata.getName())
                .withUid(metadata.getUid())
                .endInvolvedObject()
                .withType(type.name())
                .withReason(cause.reason())
                .withMessage(message)
                .withCount(1)
                .withFirstTimestamp(time)
                .withLastTimestamp(time)
                .withReportingComponent(Worker.OPERATOR)
                .withNewSource()
                .withComponent(Worker.OPERATOR)
                .endSource()
                .build();
    }
}
