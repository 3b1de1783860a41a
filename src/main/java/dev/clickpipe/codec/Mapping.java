package dev.clickpipe.codec;

/**
 * What becomes of a source column.
 *
 * @param clickHouseType the target's whole type, such as {@code Nullable(Int32)}
 * @param encoder from raw Postgres text
 * @param passthrough whether COPY's escaped text may be copied byte for byte instead, because ClickHouse reads it as the
 *     same value
 */
public record Mapping(String clickHouseType, ValueEncoder encoder, boolean passthrough) {}
