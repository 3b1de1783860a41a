package dev.clickpipe.pipe;

import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.TableMapping;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;

/**
 * A pipe as its workers know it: the manifest, read from a file.
 *
 * @param uid the resource's UID; for a manifest that never saw a cluster, one derived from namespace and name. State in
 *     ClickHouse and names in Postgres carry it, so that a pipe deleted and made again under its name starts afresh.
 */
public record Pipe(String namespace, String name, String uid, ClickPipeSpec spec) {

    public Pipe {
        namespace = namespace == null || namespace.isEmpty() ? "default" : namespace;
        uid = uid == null || uid.isEmpty()
                ? UUID.nameUUIDFromBytes((namespace + "/" + name).getBytes(StandardCharsets.UTF_8))
                        .toString()
                : uid;
    }

    public PostgresSettings settings() {
        return spec.settings();
    }

    public List<TableMapping> mappings() {
        return spec.tableMappings();
    }

    /** The slot that is read: the user's own, or one named after the pipe. At most 63 bytes of [a-z0-9_]. */
    public String slot() {
        return settings().ownsSlot() ? ownSlot() : settings().replicationSlotName();
    }

    /** The name of the slot that is the pipe's to make and to drop, whether or not it reads from it. */
    public String ownSlot() {
        return ownName("slot");
    }

    /** The publications that are read: the user's own, or the pipe's; see {@link #insertOnlyPublication()}. */
    public String publication() {
        return settings().ownsPublication() ? ownPublication() : settings().publicationName();
    }

    /** The name of the publication that is the pipe's to make and to drop, whether or not it reads it. */
    public String ownPublication() {
        return ownName("pub");
    }

    /**
     * The pipe's own publication for tables without a usable replica identity, which publishes inserts only, so that the
     * application's UPDATE and DELETE go on working (PostgreSQL documentation, 29.1 "Publication").
     */
    public String insertOnlyPublication() {
        return ownName("pub_ins");
    }

    /** What every connection of this pipe calls itself in pg_stat_activity; {@code why} says what it is for. */
    public String applicationName(String why) {
        var full = "clickpipe " + namespace + "/" + name + " " + why;
        return full.length() <= 63 ? full : full.substring(0, 63);
    }

    /** A name for a slot that lives as long as its session; a new one at each call, as a former session may linger. */
    public String temporarySlot() {
        return ownName("load_" + UUID.randomUUID().toString().substring(0, 8));
    }

    private String ownName(String what) {
        var plain = name.toLowerCase(java.util.Locale.ROOT).replaceAll("[^a-z0-9]", "_");
        var shortName = plain.length() <= 30 ? plain : plain.substring(0, 30);
        return "clickpipe_" + shortName + "_" + uid.replace("-", "").substring(0, 8) + "_" + what;
    }

    @Override
    public String toString() {
        return namespace + "/" + name;
    }
}
