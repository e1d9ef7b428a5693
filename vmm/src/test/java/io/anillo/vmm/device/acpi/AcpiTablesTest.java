package io.anillo.vmm.device.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.device.pci.PciWindows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AcpiTablesTest {
  private final byte[] image =
      new AcpiTables(4, PciWindows.STANDARD, new int[] {10, 11, 10, 11}, true).image();
  private final ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);

  private static int sum(byte[] data, int at, int length) {
    int sum = 0;
    for (int i = at; i < at + length; i++) {
      sum += data[i];
    }
    return sum & 0xFF;
  }

  private int offset(long address) {
    return (int) (address - AcpiTables.ROOT_POINTER);
  }

  private String signature(int at) {
    return new String(image, at, 4, StandardCharsets.US_ASCII);
  }

  /** Tables by signature, found as an operating system finds them. */
  private Map<String, Integer> tables() {
    Map<String, Integer> found = new TreeMap<>();
    int xsdt = offset(bytes.getLong(24));
    for (int at = xsdt + 36; at < xsdt + bytes.getInt(xsdt + 4); at += 8) {
      int table = offset(bytes.getLong(at));
      found.put(signature(table), table);
    }
    int facp = java.util.Objects.requireNonNull(found.get("FACP"));
    found.put("DSDT", offset(bytes.getLong(facp + 140)));
    found.put("XSDT", xsdt);
    found.put("RSDT", offset(bytes.getInt(16)));
    return found;
  }

  private int table(String name) {
    return java.util.Objects.requireNonNull(tables().get(name));
  }

  @Test
  void rootPointerIsFoundBySearching() {
    assertThat(new String(image, 0, 8, StandardCharsets.US_ASCII)).isEqualTo("RSD PTR ");
    assertThat(AcpiTables.ROOT_POINTER % 16).isZero();
    assertThat(sum(image, 0, 20)).isZero();
    assertThat(sum(image, 0, 36)).isZero();
  }

  @Test
  void everyTableHasItsSignatureAndChecksum() {
    Map<String, Integer> tables = tables();
    assertThat(tables.keySet()).containsExactly("APIC", "DSDT", "FACP", "MCFG", "RSDT", "XSDT");
    tables.forEach((name, at) -> {
      assertThat(signature(at)).isEqualTo(name);
      assertThat(sum(image, at, bytes.getInt(at + 4))).as(name).isZero();
    });
    int facs = offset(bytes.getInt(table("FACP") + 36));
    assertThat(signature(facs)).isEqualTo("FACS");
    assertThat((facs + AcpiTables.ROOT_POINTER) % 64).isZero();
  }

  @Test
  void everyProcessorIsListed() {
    int madt = table("APIC");
    int processors = 0;
    int end = madt + bytes.getInt(madt + 4);
    for (int at = madt + 44; at < end; at += image[at + 1]) {
      if (image[at] == 0) {
        assertThat(image[at + 3]).isEqualTo((byte) processors++);
      }
    }
    assertThat(processors).isEqualTo(4);
  }

  @Test
  void theAcpiCompilerDisassemblesAndCompilesTheDescription(@TempDir Path folder)
      throws IOException, InterruptedException {
    Path compiler = Path.of("/usr/bin/iasl");
    assumeTrue(Files.isExecutable(compiler), "acpica-tools is not installed");
    for (String name : new String[] {"DSDT", "FACP", "APIC", "MCFG"}) {
      int at = table(name);
      byte[] table = java.util.Arrays.copyOfRange(image, at, at + bytes.getInt(at + 4));
      Files.write(folder.resolve(name + ".aml"), table);
      assertThat(run(folder, compiler.toString(), "-d", name + ".aml"))
          .doesNotContainIgnoringCase("error");
    }
    String source = Files.readString(folder.resolve("DSDT.dsl"));
    assertThat(source)
        .contains("EisaId (\"PNP0A03\")", "Name (\\_S5,", "Method (_PRT, 0", "0xE0000000");
    // The compiler's own checks of names, types and resources; compiling also proves that all was
    // understood.
    assertThat(run(folder, compiler.toString(), "-p", "again", "DSDT.dsl")).contains("0 Errors");
    String controllers = Files.readString(folder.resolve("APIC.dsl"));
    assertThat(controllers).contains("I/O APIC").doesNotContain("Unknown");
  }

  private static String run(Path folder, String... command)
      throws IOException, InterruptedException {
    Path log = folder.resolve("log");
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    return Files.readString(log);
  }
}
