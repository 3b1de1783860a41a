package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** What becomes of one source column. Setup looks at what is wrong with it: rules on so many columns would cost the API server too much. */
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
        Boolean nullable) {

    public ColumnMapping {
        targetType = targetType == null || targetType.isBlank() ? null : targetType;
    }
}
