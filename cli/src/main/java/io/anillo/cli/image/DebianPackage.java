package io.anillo.cli.image;

import com.github.luben.zstd.ZstdInputStream;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.ar.ArArchiveEntry;
import org.apache.commons.compress.archivers.ar.ArArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.tukaani.xz.XZInputStream;

/** A Debian binary package (deb(5)): an ar archive with a compressed tar archive of files in it. */
final class DebianPackage {

  /** Gets each regular file of a package. */
  @FunctionalInterface
  interface Visitor {

    /**
     * Called once per file.
     *
     * @param path without a leading slash or dot
     * @param content to be read before the call returns, if at all
     */
    void visit(String path, long size, InputStream content) throws IOException, ImageException;
  }

  private DebianPackage() {}

  /**
   * Shows a package's files to a visitor.
   *
   * @param what the step that is reported to {@code progress}
   */
  static void read(Path file, String what, Progress progress, Visitor visitor)
      throws ImageException {
    try (FileChannel channel = FileChannel.open(file);
        InputStream in = new BufferedInputStream(Channels.newInputStream(channel), 1 << 16);
        ArArchiveInputStream members = new ArArchiveInputStream(in)) {
      for (ArArchiveEntry member = members.getNextEntry();
          member != null;
          member = members.getNextEntry()) {
        if (member.getName().startsWith("data.tar")) {
          long size = channel.size();
          readData(
              decompressed(member.getName(), members),
              (path, length, content) -> {
                progress.report(what, channel.position(), size);
                visitor.visit(path, length, content);
              });
          return;
        }
      }
    } catch (IOException e) {
      throw new ImageException("the package " + file + " is damaged: " + e.getMessage() + ".", e);
    }
    throw new ImageException("the package " + file + " is damaged: it has no data in it.");
  }

  private static void readData(InputStream in, Visitor visitor) throws IOException, ImageException {
    TarArchiveInputStream tar = new TarArchiveInputStream(in);
    for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
      if (entry.isFile()) {
        String path = entry.getName();
        visitor.visit(path.startsWith("./") ? path.substring(2) : path, entry.getSize(), tar);
      }
    }
  }

  /** Undoes the compression that a file name's ending names. */
  static InputStream decompressed(String name, InputStream in) throws IOException {
    if (name.endsWith(".xz")) {
      return new XZInputStream(in);
    }
    if (name.endsWith(".zst")) {
      return new ZstdInputStream(in);
    }
    if (name.endsWith(".gz")) {
      return new GZIPInputStream(in, 1 << 16);
    }
    return in;
  }
}
