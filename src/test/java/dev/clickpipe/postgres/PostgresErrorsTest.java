package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.EOFException;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Messages are those of the PostgreSQL source and of managed services. */
class PostgresErrorsTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "28P01|password authentication failed for user \"x\"|retry|LoginRefused",
                "28000|role \"x\" does not exist|retry|LoginRefused",
                "28000|no pg_hba.conf entry for host \"10.0.0.1\"|retry|ConnectionRefusedByServer",
                "3D000|database \"x\" does not exist|fatal|DatabaseMissing",
                "42501|permission denied for table orders|fatal|PermissionDenied",
                "42501|query would be affected by row-level security policy for table \"orders\"|fatal|RowsHidden",
                "42P01|relation \"orders\" does not exist|fatal|SourceTableMissing",
                "42704|publication \"p\" does not exist|fatal|PublicationMissing",
                "42704|replication slot \"s\" does not exist|fatal|SlotMissing",
                "42704|snapshot \"00000003-1\" does not exist|retry|SnapshotGone",
                "22023|invalid snapshot identifier: \"x\"|retry|SnapshotGone",
                "55000|could not import the requested snapshot|retry|SnapshotGone",
                "22023|replication slot \"s\" specified in parameter synchronized_standby_slots does not exist|fatal|StandbySlotsInvalid",
                "55000|synchronized_standby_slots does not have active_pid|retry|StandbySlotsNotReady",
                "55000|replication slot \"s\" specified in parameter \"synchronized_standby_slots\" does not have active_pid|retry|StandbySlotsNotReady",
                "55006|replication slot \"s\" is active for PID 7|retry|SlotInUse",
                "55000|cannot read from logical replication slot \"s\"|fatal|SlotInvalidated",
                "55000|can no longer get changes from replication slot \"s\"|fatal|SlotInvalidated",
                "55000|can no longer access replication slot \"s\"|fatal|SlotInvalidated",
                "55000|replication slot \"s\" was not created in this database|fatal|SlotOfAnotherDatabase",
                "55000|logical decoding on standby requires \"wal_level\" >= \"logical\" on the primary|fatal|StandbyNotReady",
                "55000|logical decoding requires \"wal_level\" >= \"logical\"|fatal|WalLevelTooLow",
                "55000|replication slots cannot be used on RO (Read Only) node|retry|SourceIsReadOnly",
                "58P01|requested WAL segment 000000010000000000000001 has already been removed|fatal|WalRemoved",
                "58P01|could not open file \"pg_replslot/s/xid-1-lsn-0-1.spill\": No such file or directory|retry|PostgresHiccup",
                "53400|all replication slots are in use|fatal|NoFreeSlot",
                "53300|number of requested standby connections exceeds \"max_wal_senders\" (currently 1)|retry|NoFreeSender",
                "53300|sorry, too many clients already|retry|SourceTooBusy",
                "53100|could not extend file: No space left on device|retry|SourceDiskFull",
                "53200|out of memory|retry|SourceOutOfMemory",
                "0A000|logical decoding cannot be used while in recovery|fatal|SourceIsStandby",
                "25006|cannot execute ALTER PUBLICATION in a read-only transaction|retry|SourceIsReadOnly",
                "57P01|terminating connection due to administrator command|retry|ConnectionLost",
                "57P03|the database system is starting up|retry|ConnectionLost",
                "57P05|terminating connection due to idle-session timeout|retry|ConnectionLost",
                "57014|canceling statement due to user request|retry|QueryCancelled",
                "25P03|terminating connection due to idle-in-transaction timeout|retry|SessionTimeout",
                "40P01|deadlock detected|retry|Conflict",
                "40001|could not serialize access|retry|Conflict",
                "58P02|crash_shutdown|retry|SourceTrouble",
                "XX000|invalid memory alloc request size 1073741824|fatal|PostgresBug",
                "XX000|pfree called with invalid pointer 0x0|retry|PostgresHiccup",
                "XX000|unrecognized SI message ID: 6|retry|PostgresHiccup",
                "XX000|could not find block containing chunk 0x0|retry|PostgresHiccup",
                "XX000|[NEON] could not read block 1 from page server at lsn 0/1|retry|PostgresHiccup",
                "XX000|Create the replication slot from the writer node instead|fatal|SourceIsReadOnly",
                "XX000|something nobody has seen|fatal|PostgresError",
                "22P02|invalid input syntax|fatal|PostgresError",
                "08001|Connection to db:5432 refused. Check that the hostname and port are correct|retry|CannotConnect",
                "08006|An I/O error occurred while sending to the backend.|retry|CannotConnect",
                "08006|The hostname db could not be verified by hostnameverifier PgjdbcHostnameVerifier.|retry|TlsFailed",
                "08006|SSL error: PKIX path building failed|retry|TlsFailed",
                "08P01|unsupported startup parameter: replication|fatal|PoolerInBetween",
                "|Database connection failed when reading from copy|retry|ConnectionLost"
            })
    void classifies(String state, String message, String verdict, String reason) {
        var e = PostgresErrors.of(new SQLException("ERROR: " + message, state), "table public.orders");

        assertThat(e.problems()).singleElement().satisfies(problem -> {
            assertThat(problem.reason()).isEqualTo(reason);
            assertThat(problem.message()).as("the server's own words").contains(message);
            assertThat(problem.object()).isEqualTo("table public.orders");
            assertThat(problem.remedy()).isNotBlank();
        });
        assertThat(e.retryable()).isEqualTo(verdict.equals("retry"));
    }

    @Test
    void namesTheCauseThatPgjdbcKeepsToItself() {
        var e = PostgresErrors.of(
                new SQLException("The connection attempt failed.", "08001", new EOFException("end of stream")),
                "postgres");

        assertThat(e).hasMessageContaining("The connection attempt failed. (EOFException: end of stream)");
    }
}
