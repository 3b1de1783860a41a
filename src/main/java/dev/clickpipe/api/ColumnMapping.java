package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** What becomes of one source column. */
@ValidationRule(
        value = "!has(self.targetType) || !self.targetType.contains('Nullable(')",
        fieldPath = ".targetType",
        message =
                "leave Nullable out of targetType: nullable says whether the column holds NULL, and elements of arrays always may")
@ValidationRule(
        value = "has(self.targetType) || has(self.nullable)",
        message = "say targetType, nullable or both; a column that is to be mapped by itself is left out")
@ValidationRule(
        value =
                "!has(self.targetType) || !self.targetType.startsWith('Array(') || !has(self.nullable) || !self.nullable",
        fieldPath = ".nullable",
        message =
                "ClickHouse has no Nullable(Array): a NULL array becomes the empty one; targetType String with nullable true keeps it apart")
public record ColumnMapping(
        @Required
        @Size(min = 1, max = 63)
        @JsonPropertyDescription("The source column's name, spelt as in the catalogue, without quotes.")
        String name,

        @Size(min = 1, max = 200)
        @JsonPropertyDescription(
                "The target column's type, without Nullable, such as Decimal(38, 9) or String. Empty: by the source's type. Only types in which no value changes are accepted: docs/types.md lists them. A value that it does not hold stops the table.")
        String targetType,

        @JsonPropertyDescription(
                "true: the target column is Nullable. false: NULL becomes the type's default value. Empty: as allowNullableColumns and the source column have it.")
        Boolean nullable) {}
