package io.anillo.cli.storage;

import io.anillo.storage.pool.Pool;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Where a process that has a pool open takes commands on it: a pool's disks belong to one process,
 * so whoever wants a snapshot or a disk replaced meanwhile has to ask that one. A Unix-domain
 * socket, named by the pool's UUID, in a folder that only its user may enter.
 *
 * <p>A request is a number of words and those words: the asker's folder, the family ({@code pool},
 * {@code volume}) and its arguments, and behind them what the command reads. The answer is a row of
 * parts, each a kind (1 output, 2 errors, 3 end) and a length in 4 bytes; the end holds the exit
 * status.
 */
final class PoolControl implements AutoCloseable {
  private static final int MAX_WORDS = 1024;
  private static final byte OUTPUT = 1;
  private static final byte ERRORS = 2;
  private static final byte END = 3;

  /** Carries out a command on the pool; returns its exit status. */
  @FunctionalInterface
  interface Handler {
    int run(StorageCommand.OnPool command, Pool pool) throws IOException;
  }

  private final Pool pool;
  private final Path path;
  private final ServerSocketChannel listener;
  private final Set<Thread> running = ConcurrentHashMap.newKeySet();
  private volatile Handler handler = StorageCommand.OnPool::run;

  private PoolControl(Pool pool, Path path, ServerSocketChannel listener) {
    this.pool = pool;
    this.path = path;
    this.listener = listener;
  }

  private static Path pathOf(UUID pool) throws IOException {
    String runtime = System.getenv("XDG_RUNTIME_DIR");
    Path base =
        runtime == null || runtime.isEmpty()
            ? Path.of(
                System.getProperty("java.io.tmpdir", "/tmp"),
                "anillo-" + System.getProperty("user.name", "user"))
            : Path.of(runtime, "anillo");
    if (!Files.isDirectory(base)) {
      Files.createDirectories(
          base, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
    if (!Files.getOwner(base).getName().equals(System.getProperty("user.name"))
        || Files.getPosixFilePermissions(base).size() != 3) {
      throw new IOException(base + " belongs to someone else or lets others in; remove it");
    }
    return base.resolve("pool-" + pool);
  }

  static PoolControl listen(Pool pool) throws IOException {
    Path path = pathOf(pool.uuid());
    // left by a process that was killed: the disks' locks tell that nobody has the pool now
    Files.deleteIfExists(path);
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(path));
    PoolControl control = new PoolControl(pool, path, listener);
    Thread.ofPlatform().daemon().name("pool-control").start(control::accept);
    return control;
  }

  /** Lets commands go through someone who has to know of them. */
  void handleWith(Handler newHandler) {
    handler = newHandler;
  }

  private void accept() {
    while (true) {
      try {
        SocketChannel channel = listener.accept();
        Thread thread =
            Thread.ofPlatform()
                .daemon()
                .name("pool-command")
                .unstarted(() -> {
                  try {
                    serve(channel);
                  } finally {
                    running.remove(Thread.currentThread());
                  }
                });
        running.add(thread);
        thread.start();
      } catch (ClosedChannelException closed) {
        return;
      } catch (IOException failure) {
        System.err.println("anillo: commands can no longer be taken: " + failure.getMessage());
        return;
      }
    }
  }

  private void serve(SocketChannel channel) {
    try (channel;
        DataInputStream in =
            new DataInputStream(new BufferedInputStream(Channels.newInputStream(channel)));
        DataOutputStream out = new DataOutputStream(Channels.newOutputStream(channel))) {
      int count = in.readInt();
      if (count < 2 || count > MAX_WORDS) {
        return;
      }
      Path folder = Path.of(in.readUTF());
      String[] words = new String[count - 1];
      for (int i = 0; i < words.length; i++) {
        words[i] = in.readUTF();
      }
      PrintStream errors = new PrintStream(new Part(out, ERRORS), true, StandardCharsets.UTF_8);
      PrintStream output = new PrintStream(new Part(out, OUTPUT), true, StandardCharsets.UTF_8);
      int status;
      try {
        status = handler.run(StorageCommand.OnPool.parse(words, folder, in, output), pool);
      } catch (IOException failure) {
        errors.println("anillo: " + StorageCommand.sentence(failure));
        status = StorageCommand.FAILED;
      } catch (IllegalArgumentException wrong) {
        errors.println("anillo: " + wrong.getMessage());
        status = StorageCommand.FAILED;
      }
      output.flush();
      synchronized (out) {
        out.writeByte(END);
        out.writeInt(4);
        out.writeInt(status);
      }
    } catch (IOException gone) {
      // whoever asked has left; what was begun has been done nevertheless
      System.err.println("anillo: a command's asker has left: " + gone.getMessage());
    }
  }

  /** A stream whose bytes become parts of the answer. */
  private static final class Part extends OutputStream {
    private final DataOutputStream out;
    private final byte kind;

    Part(DataOutputStream out, byte kind) {
      this.out = out;
      this.kind = kind;
    }

    @Override
    public void write(int one) throws IOException {
      write(new byte[] {(byte) one}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      synchronized (out) {
        out.writeByte(kind);
        out.writeInt(length);
        out.write(bytes, offset, length);
      }
    }
  }

  /**
   * Asks the process that has a pool open to carry out a command.
   *
   * @param withInput whether it reads the standard input, which is then sent behind the words
   * @return its exit status; empty when no process has the pool open
   */
  static Optional<Integer> ask(UUID pool, String[] words, boolean withInput) throws IOException {
    Path path = pathOf(pool);
    if (!Files.exists(path)) {
      return Optional.empty();
    }
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      try {
        channel.connect(UnixDomainSocketAddress.of(path));
      } catch (IOException nobody) {
        return Optional.empty();
      }
      DataOutputStream out = new DataOutputStream(Channels.newOutputStream(channel));
      out.writeInt(words.length + 1);
      out.writeUTF(Path.of("").toAbsolutePath().toString());
      for (String word : words) {
        out.writeUTF(word);
      }
      out.flush();
      if (withInput) {
        Thread.ofPlatform().daemon().name("input").start(() -> sendInput(channel, out));
      } else {
        channel.shutdownOutput();
      }
      return Optional.of(show(new DataInputStream(Channels.newInputStream(channel))));
    }
  }

  private static void sendInput(SocketChannel channel, OutputStream out) {
    try {
      System.in.transferTo(out);
      channel.shutdownOutput();
    } catch (IOException ended) {
      // the command has ended without reading everything, and its answer says why
    }
  }

  private static int show(DataInputStream in) throws IOException {
    try {
      while (true) {
        byte kind = in.readByte();
        byte[] bytes = in.readNBytes(in.readInt());
        switch (kind) {
          case OUTPUT -> System.out.write(bytes);
          case ERRORS -> System.err.write(bytes);
          default -> {
            System.out.flush();
            return bytes[3];
          }
        }
      }
    } catch (EOFException end) {
      throw new IOException("the process that has the pool open ended before the command", end);
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    Files.deleteIfExists(path);
    for (Thread thread : running) {
      try {
        thread.join();
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }
}
