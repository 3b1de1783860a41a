package dev.clickpipe.codec;

/**
 * The columns that every target table has besides the replicated ones.
 *
 * <p>Inserts name them before the others: a row that begins with digits can't be taken for a header or a byte order mark.
 */
public final class SystemColumns {
    /** {@code (commit LSN << 64) | ordinal in the transaction}; ordinal 0 for rows of the initial load. */
    public static final String VERSION = "_clickpipe_version";

    /** 1 for the tombstone of a deleted row. */
    public static final String IS_DELETED = "_clickpipe_is_deleted";

    /** When ClickHouse received the row; filled by its DEFAULT. */
    public static final String SYNCED_AT = "_clickpipe_synced_at";

    /** Append-only targets: {@code snapshot}, {@code insert}, {@code update}, {@code delete}, {@code truncate}. */
    public static final String OPERATION = "_clickpipe_operation";

    /** Append-only targets: the commit's time; for rows of the initial load the moment their snapshot was taken. */
    public static final String COMMITTED_AT = "_clickpipe_committed_at";

    public static final String VERSION_TYPE = "UInt128";
    public static final String IS_DELETED_TYPE = "UInt8";
    public static final String SYNCED_AT_TYPE = "DateTime64(9) DEFAULT now64(9)";
    public static final String OPERATION_TYPE = "LowCardinality(String)";
    public static final String COMMITTED_AT_TYPE = "DateTime64(6, 'UTC')";

    private SystemColumns() {}
}
