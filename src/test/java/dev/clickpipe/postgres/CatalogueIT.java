package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.postgres.SourceTable.ReplicaIdentity;
import dev.clickpipe.testbed.SharedPostgres;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class CatalogueIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres(18);

    private static SourceTable table(String name) throws SQLException {
        try (var connection = POSTGRES.client().connect()) {
            return Catalogue.table(connection, "public", name).orElseThrow();
        }
    }

    private static SourceColumn column(SourceTable table, String name) {
        return table.columns().stream()
                .filter(column -> column.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void readsColumnsAndTheirTypesToTheBottom() throws SQLException {
        POSTGRES.client()
                .execute(
                        "CREATE TYPE mood AS ENUM ('sad')",
                        "CREATE DOMAIN money10 AS numeric(10, 2) CHECK (VALUE > 0)",
                        "CREATE DOMAIN prices AS money10[]",
                        "CREATE TYPE point2 AS (x int, y int)",
                        """
                        CREATE TABLE typed (
                            gone int, n numeric(7, 3), ns numeric(7, 3)[][] NOT NULL, m mood, ms mood[], p prices,
                            c point2, r int4range, v int2vector, g int GENERATED ALWAYS AS (1) STORED)
                        """,
                        "ALTER TABLE typed DROP COLUMN gone");

        var table = table("typed");

        assertThat(table.columns())
                .extracting(SourceColumn::name)
                .containsExactly("n", "ns", "m", "ms", "p", "c", "r", "v", "g");
        assertThat(table.columns().getFirst().number()).isEqualTo(2);
        int numeric7x3 = (7 << 16 | 3) + 4;
        assertThat(column(table, "n").type().typmod()).isEqualTo(numeric7x3);
        assertThat(column(table, "ns")).satisfies(array -> {
            assertThat(array.notNull()).isTrue();
            assertThat(array.dimensions()).isEqualTo(2);
            assertThat(array.type().kind()).isEqualTo(PgType.Kind.ARRAY);
            assertThat(array.type().typmod()).isEqualTo(numeric7x3);
            assertThat(array.type().base().name()).isEqualTo("numeric");
        });
        assertThat(column(table, "m").type().kind()).isEqualTo(PgType.Kind.ENUM);
        assertThat(column(table, "ms").type().base().kind()).isEqualTo(PgType.Kind.ENUM);
        assertThat(column(table, "p").type()).satisfies(domain -> {
            assertThat(domain.kind()).isEqualTo(PgType.Kind.DOMAIN);
            assertThat(domain.base().kind()).isEqualTo(PgType.Kind.ARRAY);
            assertThat(domain.base().base().kind()).isEqualTo(PgType.Kind.DOMAIN);
            assertThat(domain.base().base().typmod()).isEqualTo((10 << 16 | 2) + 4);
            assertThat(domain.base().base().base().name()).isEqualTo("numeric");
        });
        assertThat(column(table, "c").type().kind()).isEqualTo(PgType.Kind.OTHER);
        assertThat(column(table, "r").type().kind()).isEqualTo(PgType.Kind.OTHER);
        assertThat(column(table, "v").type().name()).isEqualTo("int2vector");
        assertThat(column(table, "g").generated()).isTrue();
    }

    @Test
    void aNotNullConstraintThatIsNotValidYetLeavesNulls() throws SQLException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE later (a int, b int NOT NULL)",
                        "INSERT INTO later VALUES (NULL, 1)",
                        "ALTER TABLE later ADD CONSTRAINT a_not_null NOT NULL a NOT VALID");

        assertThat(table("later").columns()).extracting(SourceColumn::notNull).containsExactly(false, true);
    }

    @Test
    void readsTheKeyInItsOrderAndWhatUpdatesCarry() throws SQLException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE keyed (a int, \"B b\" int, c text NOT NULL, PRIMARY KEY (\"B b\", a))",
                        "CREATE UNIQUE INDEX by_c ON keyed (c) INCLUDE (a)",
                        "CREATE TABLE deferred (a int PRIMARY KEY DEFERRABLE)",
                        "CREATE TABLE plain (a int, g int GENERATED ALWAYS AS (a) STORED)");

        assertThat(table("keyed").primaryKey()).containsExactly("B b", "a");
        assertThat(table("keyed").identityColumns()).containsExactly("B b", "a");
        POSTGRES.client().execute("ALTER TABLE keyed REPLICA IDENTITY USING INDEX by_c");
        assertThat(table("keyed").identity()).isEqualTo(ReplicaIdentity.INDEX);
        assertThat(table("keyed").identityColumns()).containsExactly("c");
        POSTGRES.client().execute("DROP INDEX by_c");
        assertThat(table("keyed").hasUsableIdentity()).isFalse();
        POSTGRES.client().execute("ALTER TABLE keyed REPLICA IDENTITY FULL");
        assertThat(table("keyed").identityColumns()).containsExactly("a", "B b", "c");
        POSTGRES.client().execute("ALTER TABLE keyed REPLICA IDENTITY NOTHING");
        assertThat(table("keyed").hasUsableIdentity()).isFalse();

        assertThat(table("deferred").primaryKey()).containsExactly("a");
        assertThat(table("deferred").hasUsableIdentity()).isFalse();
        assertThat(table("plain").hasUsableIdentity()).isFalse();
        POSTGRES.client().execute("ALTER TABLE plain REPLICA IDENTITY FULL");
        assertThat(table("plain").identityColumns()).containsExactly("a");
    }

    @Test
    void aPartitionedTablesIdentityIsWhatAllItsPartitionsCarry() throws SQLException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE parted (id int, at int, v int, PRIMARY KEY (id, at)) PARTITION BY LIST (at)",
                        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
                        "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) PARTITION BY LIST (id)",
                        "CREATE TABLE parted_2_1 PARTITION OF parted_2 FOR VALUES IN (1)");

        assertThat(table("parted").kind()).isEqualTo('p');
        assertThat(table("parted").identity()).isEqualTo(ReplicaIdentity.DEFAULT);
        assertThat(table("parted").identityColumns()).containsExactly("id", "at");
        POSTGRES.client().execute("ALTER TABLE parted REPLICA IDENTITY FULL");
        assertThat(table("parted").identityColumns())
                .as("the root's own does not count")
                .containsExactly("id", "at");
        POSTGRES.client().execute("ALTER TABLE parted_2_1 REPLICA IDENTITY FULL");
        assertThat(table("parted").identityColumns()).containsExactly("id", "at");
        POSTGRES.client().execute("ALTER TABLE parted_1 REPLICA IDENTITY FULL");
        assertThat(table("parted").identity()).isEqualTo(ReplicaIdentity.FULL);
        assertThat(table("parted").identityColumns()).containsExactly("id", "at", "v");
        POSTGRES.client().execute("ALTER TABLE parted_1 REPLICA IDENTITY NOTHING");
        assertThat(table("parted").hasUsableIdentity()).isFalse();
    }

    @Test
    void findsTablesOnly() throws SQLException {
        POSTGRES.client().execute("CREATE VIEW seen AS SELECT 1 AS a");
        try (var connection = POSTGRES.client().connect()) {
            assertThat(List.of("seen", "nowhere", "TYPED"))
                    .allSatisfy(name -> assertThat(Catalogue.table(connection, "public", name))
                            .isEmpty());
        }
    }
}
