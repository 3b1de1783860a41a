package dev.clickpipe.cdc;

import dev.clickpipe.cdc.Batch.Truncation;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgOutputMessage;
import dev.clickpipe.postgres.PgOutputMessage.Begin;
import dev.clickpipe.postgres.PgOutputMessage.Change;
import dev.clickpipe.postgres.PgOutputMessage.Commit;
import dev.clickpipe.postgres.PgOutputMessage.Delete;
import dev.clickpipe.postgres.PgOutputMessage.Insert;
import dev.clickpipe.postgres.PgOutputMessage.Message;
import dev.clickpipe.postgres.PgOutputMessage.Origin;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PgOutputMessage.Truncate;
import dev.clickpipe.postgres.PgOutputMessage.Type;
import dev.clickpipe.postgres.PgOutputMessage.Update;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Consumer;

/** Turns the messages of one connection, in their order, into rows of batches. For one thread. */
final class Changes {
    private final BiFunction<Relation, Lsn, List<TableWriter>> tables;
    private final Progress progress;
    /**
     * By relid, one for each build of the table; none for tables that are published but not written. The server announces a
     * table anew on every connection.
     */
    private final Map<Long, List<TableWriter>> writers = new HashMap<>();

    private Transaction transaction;

    /**
     * @param tables how to write a table in the shape that it has in a transaction that committed there, to each of its builds;
     *     empty when it has none
     */
    Changes(BiFunction<Relation, Lsn, List<TableWriter>> tables, Progress progress) {
        this.tables = tables;
        this.progress = progress;
    }

    /** Takes the next message and adds what comes of it to the batch. */
    void accept(PgOutputMessage message, Batch batch) {
        switch (message) {
            case Begin begin -> {
                transaction = new Transaction(begin.finalLsn(), begin.committedAt());
                batch.begin();
            }
            case Commit commit -> {
                progress.committed(commit.committedAt());
                batch.passed(new Version(transaction.commit(), -1)); // unsigned: the greatest
                transaction = null;
            }
            case Relation relation -> writers.put(relation.relid(), tables.apply(relation, transaction.commit()));
            case Change change -> {
                change(change, batch);
                batch.passed(new Version(transaction.commit(), transaction.rowsSeen()));
            }
            case Type type -> {} // known from the definitions
            case Origin origin -> {} // a change is a change, wherever it was made first
            case Message logical -> {} // our heartbeat, or another's business
        }
    }

    /** All builds of a table get a change under the same ordinal. */
    private void change(Change change, Batch batch) {
        switch (change) {
            case Insert insert -> {
                long ordinal = transaction.next();
                forEach(
                        insert.relid(),
                        ordinal,
                        writer -> write(
                                writer,
                                ordinal,
                                batch,
                                rows -> writer.insert(rows, transaction, ordinal, insert.row())));
            }
            case Update update -> {
                long oldOrdinal = update.old() == null ? 0 : transaction.next();
                long ordinal = transaction.next();
                forEach(
                        update.relid(),
                        ordinal,
                        writer -> write(
                                writer,
                                ordinal,
                                batch,
                                rows -> writer.update(
                                        rows, transaction, oldOrdinal, update.old(), ordinal, update.row())));
            }
            case Delete delete -> {
                long ordinal = transaction.next();
                forEach(delete.relid(), ordinal, writer -> {
                    if (!writer.target().ignored(transaction.commit()).deletes()) {
                        write(writer, ordinal, batch, rows -> writer.delete(rows, transaction, ordinal, delete.old()));
                    }
                });
            }
            case Truncate truncate -> {
                long ordinal = transaction.next();
                for (long relid : truncate.relids()) {
                    forEach(relid, ordinal, writer -> {
                        if (!writer.target().ignored(transaction.commit()).truncates()) {
                            truncate(writer, ordinal, batch);
                        }
                    });
                }
            }
        }
    }

    private void truncate(TableWriter writer, long ordinal, Batch batch) {
        if (writer.target().appendOnly()) {
            write(writer, ordinal, batch, rows -> writer.truncate(rows, transaction, ordinal));
        } else {
            progress.changed(writer.target());
            batch.truncate(
                    new Truncation(writer.target(), new Version(transaction.commit(), ordinal)),
                    transaction.committedAt());
        }
    }

    private void write(TableWriter writer, long ordinal, Batch batch, Consumer<Rows> change) {
        var version = new Version(transaction.commit(), ordinal);
        if (writer.target().wasSent(version)) {
            batch.resend(writer.target().sentUntil());
        }
        var rows = batch.rows(writer.target());
        int rowsBefore = rows.count();
        long bytesBefore = rows.bytes();
        change.accept(rows);
        rows.added(version);
        batch.grew(rows.count() - rowsBefore, rows.bytes() - bytesBefore, transaction.committedAt());
        progress.changed(writer.target());
        progress.clamped(writer.target(), writer.takeClamped(), rows.encoded().takeClamped());
    }

    /** For those of the table's builds that do not have the change yet. */
    private void forEach(long relid, long ordinal, Consumer<TableWriter> then) {
        var all = writers.get(relid);
        if (all == null) {
            throw PipeException.fatal(new Problem(
                    "UnknownReplicationMessage",
                    "replication stream",
                    "a change of table OID " + relid + " came before the table was announced",
                    "Report this; nothing after it was read or acknowledged"));
        }
        for (var writer : all) {
            if (!writer.target().appendOnly() || !writer.target().has(new Version(transaction.commit(), ordinal))) {
                then.accept(writer);
            }
        }
    }
}
