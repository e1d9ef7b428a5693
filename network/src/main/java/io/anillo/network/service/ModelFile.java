package io.anillo.network.service;

import io.anillo.network.tenant.NetworkModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** Keeps what tenants have asked for in a file, which is replaced as a whole. */
final class ModelFile {
  static final JsonMapper JSON = JsonMapper.builder().build();

  private final Path file;

  ModelFile(Path file) {
    this.file = file;
  }

  NetworkModel load() throws IOException {
    if (!Files.exists(file)) {
      return NetworkModel.EMPTY;
    }
    return read(Files.readString(file));
  }

  NetworkModel read(String text) throws IOException {
    try {
      return JSON.readValue(text, NetworkModel.class);
    } catch (JacksonException e) {
      throw new IOException(file + " is not a network's description: " + e.getOriginalMessage(), e);
    }
  }

  String text(NetworkModel model) {
    return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(model);
  }

  void save(NetworkModel model) throws IOException {
    replace(file, text(model));
  }

  /** Gives a file a new content, whole or not at all. */
  static void replace(Path file, String content) throws IOException {
    Path next = file.resolveSibling(file.getFileName() + ".new");
    Files.writeString(next, content);
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
