package io.anillo.storage.foreign;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The text that describes a VMDK (VMware's "Virtual Disk Format 5.0", "The Descriptor File").
 *
 * @param parent the file it builds on
 */
record VmdkDescriptor(String createType, List<ExtentLine> extents, Optional<String> parent) {
  private static final Pattern EXTENT =
      Pattern.compile(
          "(RW|RDONLY|NOACCESS)\\s+(\\d{1,18})\\s+([A-Z0-9]+)(?:\\s+\"([^\"]*)\"(?:\\s+(\\d{1,18}))?)?\\s*");
  private static final Pattern VALUE =
      Pattern.compile("([A-Za-z][A-Za-z0-9.]*)\\s*=\\s*\"?([^\"]*)\"?\\s*");
  private static final String NO_PARENT = "ffffffff";
  private static final int MAX_EXTENTS = 65536;

  /**
   * One part of the disk.
   *
   * @param offset where it begins in a flat file, in sectors
   */
  record ExtentLine(long sectors, String kind, String file, long offset) {}

  static VmdkDescriptor parse(String name, String text) throws IOException {
    List<ExtentLine> extents = new ArrayList<>();
    Map<String, String> values = new HashMap<>();
    for (String line : text.lines().map(String::strip).toList()) {
      Matcher extent = EXTENT.matcher(line);
      Matcher value = VALUE.matcher(line);
      if (extent.matches()) {
        if (extents.size() == MAX_EXTENTS) {
          throw new IOException(name + " is damaged: it has too many extents");
        }
        String file = extent.group(4) == null ? "" : extent.group(4);
        long offset = extent.group(5) == null ? 0 : Long.parseLong(extent.group(5));
        extents.add(new ExtentLine(Long.parseLong(extent.group(2)), extent.group(3), file, offset));
      } else if (value.matches()) {
        values.put(value.group(1).toLowerCase(Locale.ROOT), value.group(2));
      }
    }
    String createType = values.getOrDefault("createtype", "");
    String parentId = values.getOrDefault("parentcid", NO_PARENT);
    Optional<String> parent = Optional.empty();
    if (!parentId.toLowerCase(Locale.ROOT).equals(NO_PARENT)) {
      parent = Optional.ofNullable(values.get("parentfilenamehint"));
      if (parent.isEmpty()) {
        throw new IOException(name + " builds on another image but does not name it");
      }
    }
    return new VmdkDescriptor(createType, extents, parent);
  }
}
