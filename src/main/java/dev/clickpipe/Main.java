package dev.clickpipe;

/** Run mode from {@code args[0]}. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        System.out.println("stub");
    }
}
