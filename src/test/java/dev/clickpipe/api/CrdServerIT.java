package dev.clickpipe.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The CRD, its rules and what they cost, and the manifests, judged by Kubernetes itself. */
class CrdServerIT {

    private static final String PIPES = "/apis/clickpipe.dev/v1alpha1/namespaces/default/clickpipes";
    private static final String STRICT = "?fieldValidation=Strict";

    private static CrdServer server;

    @BeforeAll
    static void start() throws Exception {
        server = CrdServer.start().orElse(null);
        if (server == null) {
            return;
        }
        var answer = server.post(CrdServer.CRDS + STRICT, Files.readString(CrdTest.FILE));
        assertThat(answer.code()).as(answer.message()).isEqualTo(201);
        await("the CRD to be served").atMost(Duration.ofSeconds(30)).until(() -> server.get(PIPES) == 200);
    }

    @BeforeEach
    void needsTheServer() {
        assumeTrue(server != null, "no CRD server");
    }

    @AfterAll
    static void stop() {
        if (server != null) {
            server.close();
        }
    }

    @ParameterizedTest
    @MethodSource("dev.clickpipe.api.Manifests#good")
    void accepts(Manifests.Manifest good) throws Exception {
        assertAccepted(judge(good.content()));
    }

    @ParameterizedTest
    @MethodSource("dev.clickpipe.api.Manifests#bad")
    void refuses(Manifests.BadManifest bad) throws Exception {
        var answer = judge(bad.manifest().content());
        assertThat(answer.code()).isBetween(400, 499);
        assertThat(answer.message()).contains(bad.refusal());
    }

    /** What the rules may cost is estimated for the CRD and counted for each object. */
    @Test
    void acceptsAThousandTables() throws Exception {
        var manifest = Manifests.example("minimal.yaml").content().deepCopy();
        var mappings = ((ObjectNode) manifest.get("spec")).putArray("tableMappings");
        for (var table = 0; table < 1000; table++) {
            var mapping = mappings.addObject()
                    .put("sourceSchemaName", "public")
                    .put("sourceTable", "t".repeat(59) + table)
                    .put("targetTable", "t".repeat(196) + table)
                    .put("useCustomSortingKey", true);
            var sortingKeys = mapping.putArray("sortingKeys");
            for (var column = 0; column < 16; column++) {
                sortingKeys.add("c".repeat(61) + column);
            }
        }
        assertAccepted(judge(manifest));
    }

    /** Git may change whatever it likes on a live pipe: what that takes is the operator's business. */
    @Test
    void acceptsAnyEdit() throws Exception {
        var before = Manifests.example("minimal.yaml").content().deepCopy();
        ((ObjectNode) before.get("metadata")).put("name", "edited");
        var created = server.post(PIPES + STRICT, before.toString());
        assertAccepted(created);

        var after = Manifests.example("cdc-only.yaml").content().deepCopy();
        ((ObjectNode) after).set("metadata", created.body().get("metadata"));
        assertAccepted(server.put(PIPES + "/edited" + STRICT, after.toString()));
    }

    private static CrdServer.Answer judge(JsonNode manifest) throws IOException, InterruptedException {
        return server.post(PIPES + STRICT + "&dryRun=All", manifest.toString());
    }

    private static void assertAccepted(CrdServer.Answer answer) {
        assertThat(answer.code()).as(answer.message()).isBetween(200, 299);
    }
}
