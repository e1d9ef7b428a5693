package io.anillo.cli.image;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveOutputStream;
import org.apache.commons.compress.archivers.cpio.CpioConstants;

/**
 * Writes an initial RAM file system: a cpio archive in the new ASCII format, owned by root, with
 * all times zero, so that the same files give the same bytes.
 */
public final class InitramfsWriter implements AutoCloseable {
  private final CpioArchiveOutputStream archive;
  private final Set<String> directories = new HashSet<>();

  public InitramfsWriter(OutputStream out) {
    archive = new CpioArchiveOutputStream(out, CpioConstants.FORMAT_NEW);
  }

  /** Adds a directory and those above it, unless they are there already. */
  public void directory(String path) throws IOException {
    if (path.isEmpty() || !directories.add(path)) {
      return;
    }
    directory(parent(path));
    CpioArchiveEntry entry = entry(path, CpioConstants.C_ISDIR | 0755, 0);
    entry.setNumberOfLinks(2);
    archive.putArchiveEntry(entry);
    archive.closeArchiveEntry();
  }

  public void file(String path, int permissions, ByteBuffer content) throws IOException {
    directory(parent(path));
    ByteBuffer remaining = content.duplicate().rewind();
    archive.putArchiveEntry(
        entry(path, CpioConstants.C_ISREG | permissions, remaining.remaining()));
    WritableByteChannel channel = Channels.newChannel(archive);
    while (remaining.hasRemaining()) {
      channel.write(remaining);
    }
    archive.closeArchiveEntry();
  }

  public void file(String path, int permissions, String content) throws IOException {
    file(path, permissions, ByteBuffer.wrap(content.getBytes(StandardCharsets.UTF_8)));
  }

  public void symbolicLink(String path, String target) throws IOException {
    directory(parent(path));
    byte[] bytes = target.getBytes(StandardCharsets.UTF_8);
    archive.putArchiveEntry(entry(path, CpioConstants.C_ISLNK | 0777, bytes.length));
    archive.write(bytes);
    archive.closeArchiveEntry();
  }

  public void characterDevice(String path, int permissions, int major, int minor)
      throws IOException {
    directory(parent(path));
    CpioArchiveEntry entry = entry(path, CpioConstants.C_ISCHR | permissions, 0);
    entry.setRemoteDeviceMaj(major);
    entry.setRemoteDeviceMin(minor);
    archive.putArchiveEntry(entry);
    archive.closeArchiveEntry();
  }

  private static CpioArchiveEntry entry(String path, int mode, long size) {
    CpioArchiveEntry entry = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, path, size);
    entry.setMode(mode & 0xFFFFFFFFL);
    entry.setTime(0);
    return entry;
  }

  private static String parent(String path) {
    int slash = path.lastIndexOf('/');
    return slash < 0 ? "" : path.substring(0, slash);
  }

  @Override
  public void close() throws IOException {
    archive.close();
  }
}
