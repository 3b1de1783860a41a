package dev.clickpipe.codec;

import java.math.BigInteger;
import java.util.List;
import java.util.Optional;

/** One of ClickHouse's integers. @param min its least value @param max its greatest */
record IntegerType(String name, BigInteger min, BigInteger max) {
    private static final List<Integer> BITS = List.of(8, 16, 32, 64, 128, 256);

    /** Empty for what is none. */
    static Optional<IntegerType> of(String name) {
        return BITS.stream()
                .filter(bits -> name.equals("Int" + bits) || name.equals("UInt" + bits))
                .findFirst()
                .map(bits -> name.startsWith("U")
                        ? new IntegerType(name, BigInteger.ZERO, power(bits).subtract(BigInteger.ONE))
                        : new IntegerType(
                                name, power(bits - 1).negate(), power(bits - 1).subtract(BigInteger.ONE)));
    }

    boolean holds(BigInteger value) {
        return value.compareTo(min) >= 0 && value.compareTo(max) <= 0;
    }

    boolean within(IntegerType other) {
        return other.holds(min) && other.holds(max);
    }

    private static BigInteger power(int bits) {
        return BigInteger.ONE.shiftLeft(bits);
    }
}
