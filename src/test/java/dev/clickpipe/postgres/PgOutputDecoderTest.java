package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.postgres.PgOutputMessage.Begin;
import dev.clickpipe.postgres.PgOutputMessage.Commit;
import dev.clickpipe.postgres.PgOutputMessage.Delete;
import dev.clickpipe.postgres.PgOutputMessage.Insert;
import dev.clickpipe.postgres.PgOutputMessage.Message;
import dev.clickpipe.postgres.PgOutputMessage.Origin;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PgOutputMessage.Truncate;
import dev.clickpipe.postgres.PgOutputMessage.Type;
import dev.clickpipe.postgres.PgOutputMessage.Update;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Messages built by hand from the PostgreSQL documentation, 54.9 "Logical Replication Message Formats". */
class PgOutputDecoderTest {
    private static final Lsn LSN = Lsn.parse("16/B374D848");
    private static final Lsn END = Lsn.parse("16/B374D878");
    /** 2024-02-29 12:34:56.789012 UTC in microseconds since 2000-01-01. */
    private static final long TIME = 762_525_296_789_012L;

    private static final Instant INSTANT = Instant.parse("2024-02-29T12:34:56.789012Z");

    private final PgOutputDecoder decoder = new PgOutputDecoder();

    @Test
    void begin() {
        assertThat(decode(new Bytes().chars("B").int64(LSN.value()).int64(TIME).int32(771)))
                .isEqualTo(new Begin(LSN, INSTANT, 771));
    }

    @Test
    void commit() {
        assertThat(decode(new Bytes()
                        .chars("C")
                        .int8(0)
                        .int64(LSN.value())
                        .int64(END.value())
                        .int64(TIME)))
                .isEqualTo(new Commit(LSN, END, INSTANT));
    }

    @Test
    void lsnsAreUnsigned() {
        var message = (Commit) decode(new Bytes()
                .chars("C")
                .int8(0)
                .int64(Long.MAX_VALUE)
                .int64(Long.MIN_VALUE)
                .int64(TIME));
        assertThat(message.endLsn()).isGreaterThan(message.commitLsn());
        assertThat(message.endLsn()).hasToString("80000000/0");
    }

    @Test
    void origin() {
        assertThat(decode(new Bytes().chars("O").int64(LSN.value()).string("pg_16384")))
                .isEqualTo(new Origin(LSN, "pg_16384"));
    }

    @Test
    void logicalMessage() {
        assertThat(decode(new Bytes()
                        .chars("M")
                        .int8(1)
                        .int64(LSN.value())
                        .string("clickpipe")
                        .int32(3)
                        .chars("abc")))
                .isEqualTo(new Message(true, LSN, "clickpipe"));
        assertThat(decode(new Bytes()
                        .chars("M")
                        .int8(0)
                        .int64(LSN.value())
                        .string("")
                        .int32(0)))
                .isEqualTo(new Message(false, LSN, ""));
    }

    @Test
    void relation() {
        assertThat(decode(new Bytes()
                        .chars("R")
                        .int32((int) 4_000_000_000L)
                        .string("public")
                        .string("bestellung €")
                        .chars("d")
                        .int16(2)
                        .int8(1)
                        .string("id")
                        .int32(20)
                        .int32(-1)
                        .int8(0)
                        .string("price")
                        .int32(1700)
                        .int32(655366)))
                .isEqualTo(new Relation(
                        4_000_000_000L,
                        "public",
                        "bestellung €",
                        'd',
                        List.of(
                                new Relation.Column(true, "id", 20, -1),
                                new Relation.Column(false, "price", 1700, 655366))));
    }

    @Test
    void anEmptySchemaIsThatOfTheSystem() {
        var relation = (Relation) decode(new Bytes()
                .chars("R")
                .int32(1)
                .string("")
                .string("t")
                .chars("n")
                .int16(0));
        assertThat(relation.schema()).isEqualTo("pg_catalog");
        assertThat(relation.columns()).isEmpty();
    }

    @Test
    void type() {
        assertThat(decode(new Bytes().chars("Y").int32(16400).string("public").string("mood")))
                .isEqualTo(new Type(16400, "public", "mood"));
    }

    @Test
    void insertWithEveryKindOfValue() {
        var insert = (Insert) decode(new Bytes()
                .chars("I")
                .int32(7)
                .chars("N")
                .int16(4)
                .text("42")
                .chars("n")
                .text("")
                .text("grün"));
        assertThat(insert.relid()).isEqualTo(7);
        assertThat(texts(insert.row())).containsExactly("42", null, "", "grün");
        assertThat(insert.row().isNull(1)).isTrue();
        assertThat(insert.row().isNull(2)).isFalse();
    }

    @Test
    void updateWithoutOldRow() {
        var update = (Update) decode(new Bytes()
                .chars("U")
                .int32(7)
                .chars("N")
                .int16(3)
                .text("1")
                .chars("u")
                .chars("n"));
        assertThat(update.old()).isNull();
        assertThat(update.row().unchanged(1)).isTrue();
        assertThat(update.row().isNull(1)).isFalse();
        assertThat(update.row().unchanged(2)).isFalse();
        assertThat(texts(update.row())).containsExactly("1", null, null);
    }

    @Test
    void updateWithOldKey() {
        var update = (Update) decode(new Bytes()
                .chars("U")
                .int32(7)
                .chars("K")
                .int16(2)
                .text("1")
                .chars("n")
                .chars("N")
                .int16(2)
                .text("2")
                .text("x"));
        assertThat(update.old().whole()).isFalse();
        assertThat(texts(update.old().tuple())).containsExactly("1", null);
        assertThat(texts(update.row())).containsExactly("2", "x");
    }

    @Test
    void updateWithOldRow() {
        var update = (Update) decode(new Bytes()
                .chars("U")
                .int32(7)
                .chars("O")
                .int16(1)
                .text("old")
                .chars("N")
                .int16(1)
                .text("new"));
        assertThat(update.old().whole()).isTrue();
        assertThat(texts(update.old().tuple())).containsExactly("old");
        assertThat(texts(update.row())).containsExactly("new");
    }

    @Test
    void deleteWithKeyAndWithRow() {
        var byKey = (Delete) decode(
                new Bytes().chars("D").int32(7).chars("K").int16(2).text("1").chars("n"));
        assertThat(byKey.old().whole()).isFalse();
        var byRow = (Delete) decode(
                new Bytes().chars("D").int32(7).chars("O").int16(2).text("1").text("x"));
        assertThat(byRow.old().whole()).isTrue();
        assertThat(texts(byRow.old().tuple())).containsExactly("1", "x");
    }

    @Test
    void truncate() {
        assertThat(decode(new Bytes().chars("T").int32(2).int8(3).int32(16384).int32((int) 4_000_000_000L)))
                .isEqualTo(new Truncate(List.of(16384L, 4_000_000_000L), true, true));
        assertThat(decode(new Bytes().chars("T").int32(1).int8(0).int32(16384)))
                .isEqualTo(new Truncate(List.of(16384L), false, false));
    }

    @Test
    void readsFromTheOffsetOn() {
        byte[] message =
                new Bytes().chars("I").int32(7).chars("N").int16(1).text("42").bytes();
        byte[] framed = new byte[25 + message.length];
        System.arraycopy(message, 0, framed, 25, message.length);
        var row = ((Insert) decoder.decode(framed, 25)).row();
        assertThat(row.text(0)).isEqualTo("42");
        assertThat(row.bytes()).isSameAs(framed);
    }

    @Test
    void aLongValue() {
        var text = "x".repeat(1_000_000);
        var insert = (Insert)
                decode(new Bytes().chars("I").int32(7).chars("N").int16(1).text(text));
        assertThat(insert.row().text(0)).isEqualTo(text);
    }

    /** S, E, c, A belong to version 2, b, P, K, r, p to version 3; the others exist nowhere. */
    @ParameterizedTest
    @ValueSource(strings = {"S", "E", "c", "A", "b", "P", "K", "r", "p", "X", "\0"})
    void whatIsUnknownIsFatal(String type) {
        assertThatThrownBy(() -> decode(new Bytes().chars(type).int64(1)))
                .isInstanceOfSatisfying(PipeException.class, e -> {
                    assertThat(e.retryable()).isFalse();
                    assertThat(e.problems().getFirst().reason()).isEqualTo("UnknownReplicationMessage");
                });
    }

    @Test
    void unknownPartsAreFatal() {
        var binaryValue = new Bytes()
                .chars("I")
                .int32(7)
                .chars("N")
                .int16(1)
                .chars("b")
                .int32(1)
                .int8(1);
        var otherOldRow = new Bytes().chars("D").int32(7).chars("Q").int16(0);
        var noNewRow = new Bytes().chars("I").int32(7).chars("K").int16(0);
        var tooLong = new Bytes().chars("B").int64(1).int64(1).int32(1).int8(0);
        for (var message : List.of(binaryValue, otherOldRow, noNewRow, tooLong)) {
            assertThatThrownBy(() -> decode(message)).isInstanceOf(PipeException.class);
        }
    }

    @Test
    void whatEndsTooEarlyIsFatal() {
        byte[] whole = new Bytes()
                .chars("U")
                .int32(7)
                .chars("K")
                .int16(1)
                .text("1")
                .chars("N")
                .int16(2)
                .text("2")
                .text("three")
                .bytes();
        for (int length = 1; length < whole.length; length++) {
            byte[] part = Arrays.copyOf(whole, length);
            assertThatThrownBy(() -> decoder.decode(part, 0))
                    .as("%d of %d bytes", length, whole.length)
                    .isInstanceOf(PipeException.class);
        }
    }

    private PgOutputMessage decode(Bytes message) {
        return decoder.decode(message.bytes(), 0);
    }

    private static List<String> texts(Tuple tuple) {
        var texts = new String[tuple.size()];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = tuple.text(i);
        }
        return Arrays.asList(texts);
    }

    /** The protocol's data types, big-endian (PostgreSQL documentation, 54.6). */
    private static final class Bytes {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final DataOutputStream out = new DataOutputStream(bytes);

        interface Write {
            void to(DataOutputStream out) throws IOException;
        }

        Bytes chars(String ascii) {
            return add(o -> o.writeBytes(ascii));
        }

        Bytes int8(int value) {
            return add(o -> o.writeByte(value));
        }

        Bytes int16(int value) {
            return add(o -> o.writeShort(value));
        }

        Bytes int32(int value) {
            return add(o -> o.writeInt(value));
        }

        Bytes int64(long value) {
            return add(o -> o.writeLong(value));
        }

        Bytes string(String value) {
            return add(o -> o.write(value.getBytes(StandardCharsets.UTF_8))).int8(0);
        }

        Bytes text(String value) {
            byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
            return chars("t").int32(utf8.length).add(o -> o.write(utf8));
        }

        byte[] bytes() {
            return bytes.toByteArray();
        }

        private Bytes add(Write write) {
            try {
                write.to(out);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return this;
        }
    }
}
