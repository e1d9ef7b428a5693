package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.xml.XMLConstants;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarFile;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.SAXException;

/**
 * An appliance in one file (DMTF DSP0243, "Open Virtualization Format"): a tar archive of a
 * description and the disks that it names.
 */
public final class OvaAppliance {
  private static final int MAX_DESCRIPTION_BYTES = 16 << 20;
  private static final int MAX_ENTRIES = 65536;

  private final Path path;
  private final List<Member> disks;

  /**
   * A disk in it.
   *
   * @param name of its file in the archive
   * @param offset where it begins in the archive, in bytes
   * @param compressed whether it is packed by gzip
   */
  public record Member(String name, long offset, long sizeBytes, boolean compressed) {
    Member asCompressed() {
      return new Member(name, offset, sizeBytes, true);
    }
  }

  private OvaAppliance(Path path, List<Member> disks) {
    this.path = path;
    this.disks = disks;
  }

  /** Reads what is in an appliance. */
  public static OvaAppliance read(Path path) throws IOException {
    Map<String, Member> files = new HashMap<>();
    byte[] description = null;
    try (TarFile tar = archive(path)) {
      List<TarArchiveEntry> entries = tar.getEntries();
      if (entries.size() > MAX_ENTRIES) {
        throw new IOException(path + " holds too many files");
      }
      for (TarArchiveEntry entry : entries) {
        files.put(
            entry.getName(),
            new Member(entry.getName(), entry.getDataOffset(), entry.getSize(), false));
        if (entry.getName().endsWith(".ovf") && description == null) {
          if (entry.getSize() > MAX_DESCRIPTION_BYTES) {
            throw new IOException(path + " has a description of " + entry.getSize() + " bytes");
          }
          try (InputStream in = tar.getInputStream(entry)) {
            description = in.readNBytes(MAX_DESCRIPTION_BYTES);
          }
        }
      }
    } catch (IllegalArgumentException malformed) {
      throw new IOException(path + " is no archive that can be read", malformed);
    }
    if (description == null) {
      throw new IOException(path + " has no description (a file that ends in .ovf)");
    }
    return new OvaAppliance(path, disks(path, description, files));
  }

  private static TarFile archive(Path path) throws IOException {
    try {
      return new TarFile(path);
    } catch (FileSystemException failure) {
      throw failure;
    } catch (IOException malformed) {
      // what the library says names no file
      throw new IOException(
          "%s is a damaged archive: %s".formatted(path, malformed.getMessage()), malformed);
    }
  }

  private static List<Member> disks(Path path, byte[] description, Map<String, Member> files)
      throws IOException {
    Document document = parse(path, description);
    Map<String, String> names = new HashMap<>();
    Set<String> compressed = new HashSet<>();
    for (Element file : elements(document, "File")) {
      String compression = attribute(file, "compression");
      if (compression.equals("gzip")) {
        compressed.add(attribute(file, "id"));
      } else if (!compression.isEmpty() && !compression.equals("identity")) {
        throw new IOException(
            "%s holds files compressed by \"%s\", which is not known".formatted(path, compression));
      }
      names.put(attribute(file, "id"), attribute(file, "href"));
    }
    List<Member> disks = new ArrayList<>();
    for (Element disk : elements(document, "Disk")) {
      String reference = attribute(disk, "fileRef");
      if (reference.isEmpty()) {
        continue;
      }
      String name = names.getOrDefault(reference, "");
      Member member = files.get(name);
      if (member == null) {
        throw new IOException(path + " lacks the disk \"" + name + "\" that it describes");
      }
      disks.add(compressed.contains(reference) ? member.asCompressed() : member);
    }
    if (disks.isEmpty()) {
      throw new IOException(path + " describes no disks");
    }
    return List.copyOf(disks);
  }

  private static Document parse(Path path, byte[] description) throws IOException {
    try {
      DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
      // nothing in a stranger's text may be fetched or expanded
      factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
      factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
      factory.setNamespaceAware(true);
      factory.setXIncludeAware(false);
      var builder = factory.newDocumentBuilder();
      builder.setErrorHandler(null);
      return builder.parse(new ByteArrayInputStream(description));
    } catch (ParserConfigurationException | SAXException malformed) {
      throw new IOException(path + " has a description that is no valid XML", malformed);
    }
  }

  private static List<Element> elements(Document document, String name) {
    NodeList nodes = document.getElementsByTagNameNS("*", name);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      elements.add((Element) nodes.item(i));
    }
    return elements;
  }

  /** An attribute with or without the namespace's prefix. */
  private static String attribute(Element element, String name) {
    var attributes = element.getAttributes();
    for (int i = 0; i < attributes.getLength(); i++) {
      if (name.equals(attributes.item(i).getLocalName())) {
        return attributes.item(i).getNodeValue();
      }
    }
    return "";
  }

  /** Its disks, in the order of the description. */
  public List<Member> disks() {
    return disks;
  }

  /**
   * Opens a disk's file.
   *
   * @param name of the disk; empty for the only one
   */
  public Disk open(String name) throws IOException {
    List<Member> fitting =
        disks.stream().filter(disk -> name.isEmpty() || disk.name().equals(name)).toList();
    if (fitting.size() != 1) {
      String all = String.join(", ", disks.stream().map(Member::name).toList());
      throw new IOException(
          fitting.isEmpty()
              ? "%s has no disk \"%s\"; it holds %s".formatted(path, name, all)
              : "%s holds %s; say which is meant (--member)".formatted(path, all));
    }
    Member member = fitting.getFirst();
    String title = path + ": " + member.name();
    FileDisk file = FileDisk.open(path, FileDisk.Mode.READ_ONLY);
    DiskWindow packed = new DiskWindow(title, file, member.offset(), member.sizeBytes());
    if (!member.compressed()) {
      return packed;
    }
    try (packed) {
      return UnpackedFile.gunzip(title, packed);
    }
  }
}
