package io.anillo.vmm.x86.vector;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The processor this program runs on, through {@code recorder/integer/execute.c}. Needs Linux on
 * x86-64 and a C compiler; for tests, the processor must have what {@code anillo-v2} has.
 */
final class NativeProcessor implements VectorTarget, AutoCloseable {
  private static final int REQUEST_BYTES = 8 + 4 * 8 + 16 * 8 + 64 + 512;
  private static final int ANSWER_BYTES = 8 * 8 + 16 * 8 + 512 + 8;

  private final Process process;
  private final OutputStream requests;
  private final DataInputStream answers;

  NativeProcessor(Path source) {
    try {
      Path directory = Files.createTempDirectory("anillo-vectors");
      Path program = directory.resolve("execute");
      Process compiler =
          new ProcessBuilder("cc", "-O1", "-o", program.toString(), source.toString())
              .inheritIO()
              .start();
      if (compiler.waitFor() != 0) {
        throw new IllegalStateException(source + " does not compile");
      }
      process =
          new ProcessBuilder(program.toString())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      requests = new BufferedOutputStream(process.getOutputStream(), 1 << 16);
      answers =
          new DataInputStream(new java.io.BufferedInputStream(process.getInputStream(), 1 << 16));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while compiling " + source, e);
    }
  }

  @Override
  public void useImage(byte[] image) {
    ByteBuffer request = buffer(REQUEST_BYTES);
    request.putInt(0, 1);
    try {
      requests.write(request.array());
      requests.write(image);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public VectorOutcome run(VectorCase vectorCase) {
    return runAll(List.of(vectorCase)).getFirst();
  }

  /** Runs cases of one image; the pipe is kept full, which is much faster than one by one. */
  List<VectorOutcome> runAll(List<VectorCase> cases) {
    List<VectorOutcome> outcomes = new ArrayList<>(cases.size());
    try {
      int window = 16;
      for (int i = 0; i < cases.size() + window; i++) {
        if (i < cases.size()) {
          requests.write(encode(cases.get(i)));
        }
        if (i == cases.size() || i % window == window - 1) {
          requests.flush();
          while (outcomes.size() <= Math.min(i, cases.size() - 1)) {
            outcomes.add(readOutcome());
          }
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "the native executor ended at case " + cases.get(outcomes.size()), e);
    }
    return outcomes;
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] encode(VectorCase c) {
    ByteBuffer request = buffer(REQUEST_BYTES);
    request.putInt(2).put((byte) c.setup).put((byte) c.options).putShort((short) c.code.length);
    request.putLong(c.rip).putLong(c.flags);
    request.putLong(VectorLayout.FS_BASE).putLong(VectorLayout.GS_BASE);
    for (long value : c.general) {
      request.putLong(value);
    }
    request.put(request.position(), c.code);
    request.position(request.position() + 64);
    request.put(c.floating);
    return request.array();
  }

  private VectorOutcome readOutcome() throws IOException {
    byte[] bytes = new byte[ANSWER_BYTES];
    answers.readFully(bytes);
    ByteBuffer answer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    VectorOutcome outcome = new VectorOutcome();
    outcome.vector = (int) answer.getLong();
    outcome.error = answer.getLong();
    outcome.cr2 = answer.getLong();
    outcome.rip = answer.getLong();
    outcome.flags = answer.getLong();
    int selectors = (int) answer.getLong();
    outcome.cs = selectors & 0xFFFF;
    outcome.ss = selectors >>> 16;
    outcome.fsBase = answer.getLong();
    outcome.gsBase = answer.getLong();
    for (int i = 0; i < 16; i++) {
      outcome.general[i] = answer.getLong();
    }
    outcome.floating = new byte[512];
    answer.get(outcome.floating);
    for (long n = answer.getLong(); n > 0; n--) {
      byte[] change = new byte[16];
      answers.readFully(change);
      ByteBuffer pair = ByteBuffer.wrap(change).order(ByteOrder.LITTLE_ENDIAN);
      outcome.changes.put((int) pair.getLong(), pair.getLong());
    }
    return outcome;
  }

  @Override
  public void close() {
    try {
      requests.close();
    } catch (IOException e) {
      process.destroy();
    }
  }
}
