package dev.clickpipe.codec;

/**
 * What becomes of a source column.
 *
 * @param clickHouseType the target's whole type, such as {@code Nullable(Int32)}
 * @param encoder from raw Postgres text
 * @param passthrough whether COPY's escaped text may be copied byte for byte instead, because ClickHouse reads it as the
 *     same value
 */
public record Mapping(String clickHouseType, ValueEncoder encoder, boolean passthrough) {

    /** The same for a column that tells rows apart: no two values of the source become one. */
    public Mapping ofKey() {
        return encoder instanceof DateEncoder || encoder instanceof TimestampEncoder
                ? new Mapping(clickHouseType, KeyEncoder.of(encoder, clickHouseType), false)
                : this;
    }
}
