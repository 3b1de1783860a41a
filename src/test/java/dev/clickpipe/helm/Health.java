package dev.clickpipe.helm;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.luaj.vm2.LuaTable;

/** How generic tools read a pipe: Argo CD by the script of this repository, kubectl plugins and Flux by kstatus. */
public record Health(Argo argo, Kstatus kstatus) {
    public enum Argo {
        Healthy,
        Progressing,
        Suspended,
        Degraded
    }

    public enum Kstatus {
        Current,
        InProgress,
        Failed,
        Terminating
    }

    private static final Path SCRIPT = Path.of("helm/argocd/health.lua");

    /** @param pipe as the API server stored it */
    public static Health of(JsonNode pipe) {
        return new Health(Argo.valueOf(argo(pipe).get("status").tojstring()), kstatus(pipe));
    }

    /** What Argo CD shows beside it. */
    static String message(JsonNode pipe) {
        return argo(pipe).get("message").tojstring();
    }

    private static LuaTable argo(JsonNode pipe) {
        try {
            return Lua.run(Files.readString(SCRIPT), pipe);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The generic rules of sigs.k8s.io/cli-utils, pkg/kstatus/status: deletion, generation, Reconciling and Stalled, then Ready. */
    private static Kstatus kstatus(JsonNode pipe) {
        if (pipe.path("metadata").has("deletionTimestamp")) {
            return Kstatus.Terminating;
        }
        var status = pipe.path("status");
        if (status.has("observedGeneration")
                && status.get("observedGeneration").asLong()
                        != pipe.at("/metadata/generation").asLong()) {
            return Kstatus.InProgress;
        }
        for (var condition : status.path("conditions")) {
            if (is(condition, "Reconciling", "True")) {
                return Kstatus.InProgress;
            }
            if (is(condition, "Stalled", "True")) {
                return Kstatus.Failed;
            }
        }
        for (var condition : status.path("conditions")) {
            if (condition.get("type").asText().equals("Ready")) {
                return is(condition, "Ready", "True") ? Kstatus.Current : Kstatus.InProgress;
            }
        }
        return Kstatus.Current;
    }

    private static boolean is(JsonNode condition, String type, String status) {
        return condition.get("type").asText().equals(type)
                && condition.get("status").asText().equals(status);
    }
}
