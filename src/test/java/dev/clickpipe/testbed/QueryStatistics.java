package dev.clickpipe.testbed;

/** What a statement read, wrote and answered. */
record QueryStatistics(
        long readRows,
        long readBytes,
        long writtenRows,
        long writtenBytes,
        long resultRows,
        long resultBytes,
        long elapsedNanos) {

    static final QueryStatistics NONE = new QueryStatistics(0, 0, 0, 0, 0, 0, 0);

    QueryStatistics plus(QueryStatistics other) {
        return new QueryStatistics(
                readRows + other.readRows,
                readBytes + other.readBytes,
                writtenRows + other.writtenRows,
                writtenBytes + other.writtenBytes,
                resultRows + other.resultRows,
                resultBytes + other.resultBytes,
                elapsedNanos + other.elapsedNanos);
    }

    /** The value of {@code X-ClickHouse-Summary}: a server counts the rows an INSERT receives as read and as result. */
    String summary() {
        return """
                {"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d",\
                "total_rows_to_read":"0","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d"}""".formatted(
                        Math.max(readRows, writtenRows),
                        Math.max(readBytes, writtenBytes),
                        writtenRows,
                        writtenBytes,
                        writtenRows > 0 ? writtenRows : resultRows,
                        writtenRows > 0 ? writtenBytes : resultBytes,
                        elapsedNanos);
    }
}
