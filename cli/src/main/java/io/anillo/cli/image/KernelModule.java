package io.anillo.cli.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Stream;

/**
 * A loadable module of a Linux kernel.
 *
 * @param name with underscores, as the kernel knows it
 * @param path inside {@code /lib/modules/VERSION}, without a compression's ending
 * @param content the uncompressed ELF file
 * @param dependencies names of the modules that must be loaded before, as its .modinfo section
 *     lists them
 */
record KernelModule(String name, String path, ByteBuffer content, List<String> dependencies) {
  private static final int SECTION_TABLE = 40, SECTION_ENTRY_BYTES = 58, SECTIONS = 60, NAMES = 62;

  static KernelModule parse(String path, byte[] content) throws ImageException {
    String file = path.substring(path.lastIndexOf('/') + 1);
    String name = canonical(file.substring(0, file.indexOf(".ko")));
    try {
      return new KernelModule(
          name, path, ByteBuffer.wrap(content), dependencies(moduleInformation(content)));
    } catch (IndexOutOfBoundsException e) {
      throw new ImageException("the kernel module " + path + " is damaged.", e);
    }
  }

  /** Module names are the same with hyphens and underscores. */
  static String canonical(String name) {
    return name.replace('-', '_');
  }

  private static List<String> dependencies(String information) {
    return information
        .lines()
        .filter(line -> line.startsWith("depends="))
        .flatMap(line -> Stream.of(line.substring("depends=".length()).split(",")))
        .filter(name -> !name.isBlank())
        .map(KernelModule::canonical)
        .toList();
  }

  /** The .modinfo section's strings, one per line; empty when there is none. */
  private static String moduleInformation(byte[] content) {
    ByteBuffer elf = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
    if (elf.getInt(0) != 0x464C457F || elf.get(4) != 2) {
      throw new IndexOutOfBoundsException("not a 64-bit ELF file");
    }
    int table = Math.toIntExact(Math.clamp(elf.getLong(SECTION_TABLE), 0, Integer.MAX_VALUE));
    int entryBytes = elf.getShort(SECTION_ENTRY_BYTES) & 0xFFFF;
    int count = elf.getShort(SECTIONS) & 0xFFFF;
    int namesHeader = table + (elf.getShort(NAMES) & 0xFFFF) * entryBytes;
    int names = (int) elf.getLong(namesHeader + 24);
    byte[] wanted = ".modinfo\0".getBytes(StandardCharsets.US_ASCII);
    for (int i = 0; i < count; i++) {
      int header = table + i * entryBytes;
      int name = names + elf.getInt(header);
      if (elf.slice(name, Math.min(wanted.length, elf.limit() - name))
          .equals(ByteBuffer.wrap(wanted))) {
        int offset = (int) elf.getLong(header + 24);
        int size = (int) elf.getLong(header + 32);
        ByteBuffer section = elf.slice(offset, size);
        return StandardCharsets.UTF_8.decode(section).toString().replace('\0', '\n');
      }
    }
    return "";
  }

  /**
   * The given modules and all they depend on, each after its dependencies. A name that is no module
   * is built into the kernel, or this kernel lacks it; either way there is nothing to load.
   */
  static List<KernelModule> closure(Map<String, KernelModule> all, List<String> wanted) {
    SequencedMap<String, KernelModule> ordered = new LinkedHashMap<>();
    wanted.forEach(name -> visit(all, canonical(name), ordered, new ArrayList<>()));
    return List.copyOf(ordered.values());
  }

  private static void visit(
      Map<String, KernelModule> all,
      String name,
      SequencedMap<String, KernelModule> ordered,
      List<String> ancestors) {
    KernelModule module = all.get(name);
    if (module == null || ordered.containsKey(name) || ancestors.contains(name)) {
      return;
    }
    ancestors.add(name);
    module.dependencies().forEach(dependency -> visit(all, dependency, ordered, ancestors));
    ancestors.removeLast();
    ordered.put(name, module);
  }
}
