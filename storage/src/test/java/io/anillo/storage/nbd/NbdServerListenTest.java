package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where a server listens: not where another does, nor in place of a file. */
class NbdServerListenTest {
  @TempDir Path folder;

  private NbdServer start(UnixDomainSocketAddress address) throws IOException {
    return NbdServer.start(address, new NbdExports(), Optional.empty());
  }

  private UnixDomainSocketAddress address() {
    return UnixDomainSocketAddress.of(folder.resolve("s"));
  }

  @Test
  void theSocketOfAServerThatWasKilledIsTakenOver() throws IOException {
    try (ServerSocketChannel killed = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      killed.bind(address());
    }
    assertThat(address().getPath()).exists();
    try (NbdServer server = start(address());
        SocketChannel client = SocketChannel.open(address())) {
      assertThat(client.isConnected()).isTrue();
      assertThat(server.connectionCount()).isLessThanOrEqualTo(1);
    }
    assertThat(address().getPath()).doesNotExist();
  }

  @Test
  void aServerThatRunsKeepsItsSocket() throws IOException {
    try (NbdServer first = start(address())) {
      assertThatThrownBy(() -> start(address()))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("cannot listen on " + folder.resolve("s"));
      try (SocketChannel client = SocketChannel.open(address())) {
        assertThat(client.isConnected()).isTrue();
      }
    }
  }

  @Test
  void aFileIsNotReplaced() throws IOException {
    Path file = Files.writeString(address().getPath(), "letters");
    assertThatThrownBy(() -> start(address())).isInstanceOf(IOException.class);
    assertThat(file).hasContent("letters");
  }

  @Test
  void aHostThatDoesNotExistIsNamed() {
    InetSocketAddress address = InetSocketAddress.createUnresolved("nowhere.invalid", 10809);
    assertThatThrownBy(() -> NbdServer.start(address, new NbdExports(), Optional.empty()))
        .isInstanceOf(IOException.class)
        .hasMessage("cannot listen on nowhere.invalid: no such host");
  }
}
