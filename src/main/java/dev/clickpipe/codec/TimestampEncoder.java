package dev.clickpipe.codec;

import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/**
 * ISO dates and timestamps, those with time zone turned into UTC. DateTime64 holds the years 0001 to 9999, the rest becomes the
 * nearer end. (ClickHouse before 26.7 holds 1900 to 2299 and does the same there by itself.)
 *
 * @param fractionDigits of the target, no less than the source has
 */
record TimestampEncoder(int fractionDigits) implements ValueEncoder {
    private static final String FIRST = "0001-01-01 00:00:00";
    private static final String LAST = "9999-12-31 23:59:59";
    private static final int LENGTH_OF_DATE = 10;
    private static final int LENGTH_TO_SECONDS = FIRST.length();
    private static final DateTimeFormatter FORMAT = DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSSSSS");

    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        switch (IsoYear.of(text, from, to)) {
            case IsoYear.BEFORE_ALL -> clamp(FIRST, out);
            case IsoYear.AFTER_ALL -> clamp(last(), out);
            default -> {
                if (to - from == LENGTH_OF_DATE) {
                    out.rawBytes(text, from, to);
                    out.ascii(" 00:00:00");
                    return;
                }
                int zone = zoneStart(text, from, to);
                if (zone == to || to - zone == 3 && text[zone + 1] == '0' && text[zone + 2] == '0') {
                    out.rawBytes(text, from, zone);
                } else {
                    out.ascii(inUtc(text, from, zone, to)); // our sessions are in UTC: a proxy that forgot it, at most
                }
            }
        }
    }

    private static int zoneStart(byte[] text, int from, int to) {
        int at = from + LENGTH_TO_SECONDS;
        while (at < to && text[at] != '+' && text[at] != '-') {
            at++;
        }
        return Math.min(at, to);
    }

    private static void clamp(String end, TsvBuffer out) {
        out.ascii(end);
        out.clamped();
    }

    private String last() {
        return fractionDigits == 0 ? LAST : LAST + "." + "9".repeat(fractionDigits);
    }

    private String inUtc(byte[] text, int from, int zone, int to) {
        var local = new String(text, from, zone - from, StandardCharsets.US_ASCII).replace(' ', 'T');
        var offset = ZoneOffset.of(new String(text, zone, to - zone, StandardCharsets.US_ASCII));
        var utc = LocalDateTime.parse(local).minusSeconds(offset.getTotalSeconds());
        return utc.getYear() < 1 ? FIRST : utc.getYear() > 9999 ? last() : utc.format(FORMAT);
    }
}
