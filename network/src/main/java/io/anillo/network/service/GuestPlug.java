package io.anillo.network.service;

import io.anillo.network.port.FrameStream;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A guest's end of the stream to the network service. When the service ends, frames are dropped
 * until one runs again in the same folder, and the guest is plugged in there at the same port with
 * the same addresses. When the service runs on but took the port away, that is the end.
 */
final class GuestPlug implements NetworkBackend {
  private static final System.Logger LOG = System.getLogger(GuestPlug.class.getName());
  private static final long FIRST_PAUSE_MILLIS = 100;
  private static final long LONGEST_PAUSE_MILLIS = 2_000;

  private final Path folder;
  private final long ethernet;
  private volatile FrameStream stream;
  private volatile Request again;
  private volatile boolean closed;
  private @Nullable Receiver receiver;

  private GuestPlug(Path folder, Request again, long ethernet, FrameStream stream) {
    this.folder = folder;
    this.again = again;
    this.ethernet = ethernet;
    this.stream = stream;
  }

  /**
   * What the service's reply says: the card's Ethernet address, name and address of a port that was
   * made for this guest ("-" where it was there before), and which run of the service it was.
   */
  record Place(long ethernet, String name, String address, String run) {
    static Place parse(String text) throws IOException {
      String[] words = text.split(" ");
      if (words.length != 4 || !words[0].matches("[0-9a-f]{1,12}")) {
        throw new IOException("the network service runs another version of Anillo");
      }
      return new Place(Long.parseLong(words[0], 16), words[1], words[2], words[3]);
    }

    @Override
    public String toString() {
      return Long.toHexString(ethernet) + " " + name + " " + address + " " + run;
    }
  }

  static GuestPlug of(Path folder, Request request, ServiceClient client, String reply)
      throws IOException {
    Place place = Place.parse(reply);
    Request again = request.with("left", place.run());
    if (!place.name().equals("-")) {
      again =
          again
              .with("temporary", "yes")
              .with("name", place.name())
              .with("address", place.address())
              .with("ethernet", ethernetText(place.ethernet()));
    }
    return new GuestPlug(folder, again, place.ethernet(), client.stream());
  }

  private static String ethernetText(long ethernet) {
    return "%012x".formatted(ethernet).replaceAll("(..)(?=.)", "$1:");
  }

  @Override
  public void start(Receiver guest) {
    receiver = guest;
    stream.start("the network service", guest, this::ended);
  }

  /** On the reading thread, which has nothing else to do any more. */
  private void ended() {
    long pause = FIRST_PAUSE_MILLIS;
    while (!closed) {
      try {
        Thread.sleep(pause);
      } catch (InterruptedException e) {
        return;
      }
      pause = Math.min(LONGEST_PAUSE_MILLIS, pause * 2);
      try {
        if (plugAgain()) {
          return;
        }
      } catch (IOException e) {
        LOG.log(System.Logger.Level.TRACE, "the network service is still away", e);
      }
    }
  }

  /** Whether there is nothing more to try. */
  private boolean plugAgain() throws IOException {
    ServiceClient client = ServiceClient.connect(folder);
    Request.Reply reply;
    try {
      reply = client.ask(again);
    } catch (IOException e) {
      client.close();
      throw e;
    }
    if (!reply.done()) {
      client.close();
      LOG.log(System.Logger.Level.INFO, () -> "the guest's network has ended: " + reply.text());
      return true;
    }
    again = again.with("left", Place.parse(reply.text()).run());
    Receiver guest = receiver;
    stream = client.stream();
    if (closed || guest == null) {
      stream.close();
      return true;
    }
    stream.start("the network service", guest, this::ended);
    return true;
  }

  @Override
  public void send(NetworkFrame frame) {
    stream.send(frame);
  }

  @Override
  public Offloads offloads() {
    return new Offloads(true, true, true);
  }

  @Override
  public OptionalLong cardAddress() {
    return OptionalLong.of(ethernet);
  }

  @Override
  public void close() {
    closed = true;
    stream.close();
  }
}
