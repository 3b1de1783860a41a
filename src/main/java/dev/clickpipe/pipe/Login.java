package dev.clickpipe.pipe;

/** A user name and its password; the password never leaves by {@link #toString()}. */
public record Login(String user, String password) {

    @Override
    public String toString() {
        return "Login[user=" + user + ", password=***]";
    }
}
