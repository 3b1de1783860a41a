package dev.clickpipe;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.clickpipe");

    @Test
    void theOperatorOpensNoDatabase() {
        noClasses()
                .that()
                .resideInAPackage("dev.clickpipe.operator..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "dev.clickpipe.postgres..",
                        "dev.clickpipe.clickhouse..",
                        "dev.clickpipe.codec..",
                        "java.sql..",
                        "org.postgresql..",
                        "com.clickhouse..")
                .because("it holds no database credentials: setup, snapshot, cdc and teardown are pods of their own")
                .check(CLASSES);
    }

    @Test
    void noFrameworkInTheDataPath() {
        noClasses()
                .that()
                .resideOutsideOfPackages("dev.clickpipe.operator..", "dev.clickpipe.api..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.fabric8..", "io.javaoperatorsdk..", "io.quarkus..", "io.quarkiverse..")
                .because("a worker runs by hand, without Kubernetes, on the same manifest")
                .check(CLASSES);
    }

    @Test
    void packagesHaveNoCycles() {
        slices().matching("dev.clickpipe.(*)..").should().beFreeOfCycles().check(CLASSES);
    }
}
