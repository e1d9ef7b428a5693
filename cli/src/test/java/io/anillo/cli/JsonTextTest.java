package io.anillo.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JsonTextTest {
  @Test
  void textIsEscapedAndOrderKept() {
    Map<String, Object> value = new LinkedHashMap<>();
    value.put("a \"quoted\"\\\n\u0001", List.of(1, 2.5, true));
    value.put("nested", Map.of("not a number", Double.NaN));
    value.put("empty", Map.of());
    assertThat(JsonText.of(value))
        .isEqualTo(
            """
            {
              "a \\"quoted\\"\\\\\\n\\u0001": [1, 2.5, true],
              "nested": {
                "not a number": null
              },
              "empty": {}
            }
            """);
  }
}
