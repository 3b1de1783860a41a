package dev.clickpipe.postgres;

/**
 * A Postgres type as the catalogue describes it (PostgreSQL documentation, 51.64 "pg_type").
 *
 * @param oid of the type itself, also for a domain
 * @param name {@code pg_type.typname}, such as {@code int4}, {@code _text}, {@code order_state}
 * @param kind what sort of type it is
 * @param typmod {@code atttypmod} of the column (for a domain: the domain's own), -1 for none; for numeric it holds
 *     precision and scale
 * @param base a domain's base type, an array's element type; null for other kinds
 * @param delimiter what stands between the elements of an array of this type ({@code pg_type.typdelim})
 */
public record PgType(long oid, String name, Kind kind, int typmod, PgType base, char delimiter) {

    public enum Kind {
        /** A plain type: int4, text, … */
        SCALAR,
        ENUM,
        /** True arrays ({@code typcategory = 'A'}); {@link PgType#base} is the element. */
        ARRAY,
        DOMAIN,
        /** Ranges, multiranges, composites, pseudo-types: kept as Postgres' own text. */
        OTHER
    }

    public PgType {
        delimiter = delimiter != 0 ? delimiter : name.equals("box") ? ';' : ','; // recorded without it
    }

    public PgType(long oid, String name, Kind kind, int typmod, PgType base) {
        this(oid, name, kind, typmod, base, ',');
    }

    public PgType withTypmod(int typmod) {
        return new PgType(oid, name, kind, typmod, base, delimiter);
    }

    /** The type below all domains. */
    public PgType undomained() {
        return kind == Kind.DOMAIN ? base.undomained() : this;
    }
}
