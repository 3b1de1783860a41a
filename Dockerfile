# Operator and workers in one image: the first argument is the run mode (operator, setup, snapshot, cdc, teardown).
# `dev/image` builds it; where no registry can be reached, on a base made locally.
ARG BASE=eclipse-temurin:25-jre
FROM ${BASE}

LABEL org.opencontainers.image.title="ClickPipe operator" \
      org.opencontainers.image.description="Replicates Postgres into ClickHouse" \
      org.opencontainers.image.licenses="Apache-2.0"

# The libraries change seldom, the application with every build: so the layers.
COPY target/quarkus-app/lib/ /app/lib/
COPY target/quarkus-app/*.jar /app/
COPY target/quarkus-app/app/ /app/app/
COPY target/quarkus-app/quarkus/ /app/quarkus/

WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 1000:1000

# The root file system may be read-only: nothing is written but to /tmp, and not even performance counters go there.
# Out of memory ends the process: a worker that lost a thread must not go on as if it had not.
# Compiling is most of what a worker does in its first seconds, and short runs are nothing else: what is compiled must have proved
# hot. Only ciphers and digests are compiled early, because interpreted they are a hundred times slower (docs/performance.md).
ENTRYPOINT ["java", "-XX:MaxRAMPercentage=55", "-XX:CompileThresholdScaling=12", "-XX:CompileCommand=quiet", "-XX:CompileCommand=CompileThresholdScaling,com.sun.crypto.provider.*::*,0.05", "-XX:CompileCommand=CompileThresholdScaling,sun.security.provider.*::*,0.05", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", "-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-jar", "/app/quarkus-run.jar"]
CMD ["operator"]
