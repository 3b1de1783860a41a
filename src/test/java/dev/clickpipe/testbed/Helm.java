package dev.clickpipe.testbed;

import com.marcnuri.helm.LintResult;
import com.marcnuri.helm.Release;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;

/**
 * Helm without its binary, by its own Go code as a library: the few commands that tests and the demo need, in the words
 * of its command line.
 *
 * <pre>
 * upgrade --install RELEASE CHART [--namespace NS] [--create-namespace] [--set k=v …] [--values F …] [--kubeconfig F]
 * uninstall RELEASE [--namespace NS] [--kubeconfig F]
 * template RELEASE CHART [--namespace NS] [--set k=v …] [--values F …]
 * lint CHART
 * </pre>
 */
public final class Helm {
    private static final Set<String> NAMED = Set.of("namespace", "set", "values", "kubeconfig");
    private static final Set<String> SWITCHES = Set.of("install", "create-namespace");

    private Helm() {}

    public static void main(String[] args) {
        System.out.println(run(args));
    }

    /** Runs a command; what Helm says, and an exception when it fails. */
    public static String run(String... args) {
        String command = args.length == 0 ? "" : args[0];
        var flags = Flags.parse(Arrays.copyOfRange(args, Math.min(1, args.length), args.length), NAMED, SWITCHES);
        return switch (command) {
            case "upgrade" -> upgrade(flags);
            case "uninstall" -> uninstall(flags);
            case "template" -> template(flags);
            case "lint" -> lint(flags);
            default -> throw new IllegalArgumentException("upgrade, uninstall, template or lint, not: " + command);
        };
    }

    private static String upgrade(Flags flags) {
        var command = chart(flags, 1).upgrade().withName(release(flags));
        if (flags.has("install")) {
            command.install();
        }
        if (flags.has("create-namespace")) {
            command.createNamespace();
        }
        flags.optional("namespace").ifPresent(command::withNamespace);
        flags.optional("kubeconfig").map(Path::of).ifPresent(command::withKubeConfig);
        flags.all("values").stream().map(Path::of).forEach(command::withValuesFile);
        flags.all("set").forEach(setting -> command.set(name(setting), value(setting)));
        Release release = command.call();
        return "%s %s, revision %s".formatted(release.getName(), release.getStatus(), release.getRevision());
    }

    private static String uninstall(Flags flags) {
        var command = com.marcnuri.helm.Helm.uninstall(release(flags));
        flags.optional("namespace").ifPresent(command::withNamespace);
        flags.optional("kubeconfig").map(Path::of).ifPresent(command::withKubeConfig);
        return command.call();
    }

    private static String template(Flags flags) {
        var command = chart(flags, 1).template().withName(release(flags));
        flags.optional("namespace").ifPresent(command::withNamespace);
        flags.all("values").stream().map(Path::of).forEach(command::withValuesFile);
        flags.all("set").forEach(setting -> command.set(name(setting), value(setting)));
        return command.call();
    }

    private static String lint(Flags flags) {
        LintResult result = chart(flags, 0).lint().strict().call();
        String messages = String.join("\n", result.getMessages());
        if (result.isFailed()) {
            throw new IllegalStateException(messages);
        }
        return messages;
    }

    private static String release(Flags flags) {
        return flags.argument(0, "RELEASE");
    }

    private static com.marcnuri.helm.Helm chart(Flags flags, int index) {
        return new com.marcnuri.helm.Helm(Path.of(flags.argument(index, "CHART")));
    }

    private static String name(String setting) {
        return setting.split("=", 2)[0];
    }

    private static String value(String setting) {
        return setting.substring(setting.indexOf('=') + 1);
    }
}
