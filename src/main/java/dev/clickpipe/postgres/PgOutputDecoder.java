package dev.clickpipe.postgres;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.PgOutputMessage.Begin;
import dev.clickpipe.postgres.PgOutputMessage.Commit;
import dev.clickpipe.postgres.PgOutputMessage.Delete;
import dev.clickpipe.postgres.PgOutputMessage.Insert;
import dev.clickpipe.postgres.PgOutputMessage.Message;
import dev.clickpipe.postgres.PgOutputMessage.OldTuple;
import dev.clickpipe.postgres.PgOutputMessage.Origin;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PgOutputMessage.Truncate;
import dev.clickpipe.postgres.PgOutputMessage.Type;
import dev.clickpipe.postgres.PgOutputMessage.Update;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;

/**
 * Reads what pgoutput writes. Whatever it does not know is a fatal error: a message skipped would be a change lost.
 *
 * <p>Protocol version 1 needs no memory between messages. Version 2 puts the transaction's id into messages between Stream
 * Start and Stream Stop; a decoder for it remembers that it is between the two, which is why this is an object. For one thread.
 */
public final class PgOutputDecoder {
    private static final Instant POSTGRES_EPOCH = Instant.parse("2000-01-01T00:00:00Z");

    /** Reads the message that is in {@code bytes} from {@code offset} to the end. Tuples keep a reference to {@code bytes}. */
    public PgOutputMessage decode(byte[] bytes, int offset) {
        var in = ByteBuffer.wrap(bytes, offset, bytes.length - offset);
        try {
            byte type = in.get();
            var message =
                    switch (type) {
                        case 'B' -> new Begin(lsn(in), time(in), in.getInt());
                        case 'C' -> commit(in);
                        case 'O' -> new Origin(lsn(in), string(in));
                        case 'M' -> message(in);
                        case 'R' -> relation(in);
                        case 'Y' -> new Type(oid(in), string(in), string(in));
                        case 'I' -> insert(in);
                        case 'U' -> update(in);
                        case 'D' -> new Delete(oid(in), old(in, in.get()));
                        case 'T' -> truncate(in);
                        default -> throw unreadable("a message of type " + printable(type));
                    };
            if (in.hasRemaining()) {
                throw unreadable(in.remaining() + " bytes after the end of a message of type " + printable(type));
            }
            return message;
        } catch (BufferUnderflowException | IndexOutOfBoundsException | NegativeArraySizeException e) {
            throw unreadable("a message of type " + printable(bytes[offset]) + " that ends too early");
        }
    }

    private static Commit commit(ByteBuffer in) {
        in.get(); // flags, none defined
        return new Commit(lsn(in), lsn(in), time(in));
    }

    private static Message message(ByteBuffer in) {
        var message = new Message((in.get() & 1) != 0, lsn(in), string(in));
        skip(in, in.getInt());
        return message;
    }

    private static Relation relation(ByteBuffer in) {
        long relid = oid(in);
        var schema = string(in);
        var name = string(in);
        char identity = (char) in.get();
        int count = in.getShort();
        var columns = new ArrayList<Relation.Column>(count);
        for (int i = 0; i < count; i++) {
            columns.add(new Relation.Column((in.get() & 1) != 0, string(in), oid(in), in.getInt()));
        }
        return new Relation(relid, schema.isEmpty() ? "pg_catalog" : schema, name, identity, columns);
    }

    private static Insert insert(ByteBuffer in) {
        long relid = oid(in);
        return new Insert(relid, newTuple(in, in.get()));
    }

    private static Update update(ByteBuffer in) {
        long relid = oid(in);
        byte tag = in.get();
        if (tag == 'N') {
            return new Update(relid, null, tuple(in));
        }
        var old = old(in, tag);
        return new Update(relid, old, newTuple(in, in.get()));
    }

    private static Tuple newTuple(ByteBuffer in, byte tag) {
        if (tag != 'N') {
            throw unreadable("a new row tagged " + printable(tag));
        }
        return tuple(in);
    }

    private static OldTuple old(ByteBuffer in, byte tag) {
        return switch (tag) {
            case 'K' -> new OldTuple(false, tuple(in));
            case 'O' -> new OldTuple(true, tuple(in));
            default -> throw unreadable("an old row tagged " + printable(tag));
        };
    }

    private static Tuple tuple(ByteBuffer in) {
        var columns = new int[in.getShort()];
        for (int i = 0; i < columns.length; i++) {
            columns[i] = in.position();
            byte kind = in.get();
            switch (kind) {
                case Tuple.NULL, Tuple.UNCHANGED -> {}
                case Tuple.TEXT -> skip(in, in.getInt());
                default -> throw unreadable("a column value of kind " + printable(kind));
            }
        }
        return new Tuple(in.array(), columns);
    }

    private static Truncate truncate(ByteBuffer in) {
        int count = in.getInt();
        byte options = in.get();
        var relids = new ArrayList<Long>();
        for (int i = 0; i < count; i++) {
            relids.add(oid(in));
        }
        return new Truncate(relids, (options & 1) != 0, (options & 2) != 0);
    }

    private static Lsn lsn(ByteBuffer in) {
        return new Lsn(in.getLong());
    }

    private static long oid(ByteBuffer in) {
        return Integer.toUnsignedLong(in.getInt());
    }

    private static Instant time(ByteBuffer in) {
        return POSTGRES_EPOCH.plus(in.getLong(), ChronoUnit.MICROS);
    }

    private static String string(ByteBuffer in) {
        int start = in.position();
        while (in.get() != 0) {
            continue;
        }
        return new String(in.array(), start, in.position() - 1 - start, StandardCharsets.UTF_8);
    }

    private static void skip(ByteBuffer in, int length) {
        if (length < 0 || length > in.remaining()) {
            throw new BufferUnderflowException();
        }
        in.position(in.position() + length);
    }

    private static String printable(byte value) {
        return value > ' ' && value < 127 ? "'" + (char) value + "'" : "0x" + Integer.toHexString(value & 0xFF);
    }

    private static PipeException unreadable(String what) {
        return PipeException.fatal(new Problem(
                "UnknownReplicationMessage",
                "replication stream",
                "pgoutput sent " + what + ", which protocol version 1 does not have",
                "Nothing after it was read or acknowledged. Use a version of the operator that knows this Postgres"
                        + " version"));
    }
}
