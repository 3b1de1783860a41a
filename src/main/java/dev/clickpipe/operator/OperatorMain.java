package dev.clickpipe.operator;

import io.quarkus.runtime.Quarkus;

/** Starts the controller; returns when it was told to stop. */
public final class OperatorMain {
    private OperatorMain() {}

    // No QuarkusApplication here or anywhere: with one on the class path, quarkus-operator-sdk would leave starting the
    // operator to it, and watch nothing.
    public static void run(String... args) {
        Quarkus.run(args);
    }
}
