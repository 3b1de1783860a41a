package dev.clickpipe.operator;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import java.util.Optional;

/** What workers say, read with tolerance: during an upgrade operator and worker are not of one version. */
final class Documents {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .addModule(new JavaTimeModule())
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(DeserializationFeature.READ_UNKNOWN_ENUM_VALUES_AS_NULL)
            .build();

    private Documents() {}

    /** A worker's last words; empty where the text is something else, such as the end of a log. */
    static Optional<Termination> termination(String text) {
        if (text == null || !text.stripLeading().startsWith("{")) {
            return Optional.empty();
        }
        try {
            return Optional.ofNullable(JSON.readValue(text, Termination.class))
                    .filter(t -> t.reason() != null && t.message() != null);
        } catch (JsonProcessingException e) {
            return Optional.empty();
        }
    }

    /** @throws JsonProcessingException when it is no status document */
    static WorkerStatus workerStatus(String text) throws JsonProcessingException {
        return JSON.readValue(text, WorkerStatus.class);
    }
}
