package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Gives guests their IPv4 addresses (RFC 2131, options of RFC 2132). One address for each Ethernet
 * address.
 */
public final class DhcpServer {
  private static final int COOKIE = 0x63825363;
  private static final int FIXED_BYTES = 240;
  private static final int DISCOVER = 1;
  private static final int OFFER = 2;
  private static final int REQUEST = 3;
  private static final int ACKNOWLEDGE = 5;
  private static final int REFUSE = 6;
  private static final int RELEASE = 7;
  private static final int INFORM = 8;
  private static final int LEASE_SECONDS = 86_400;

  /** What guests are told: addresses, and how many the pool has from the first on. */
  public record Scope(
      int server,
      int mask,
      int router,
      int nameServer,
      int first,
      int count,
      int mtu,
      String domain) {}

  private final Scope scope;
  private final Map<Long, Integer> leases = new LinkedHashMap<>();
  private final Map<Integer, Long> holders = new HashMap<>();

  public DhcpServer(Scope scope) {
    this.scope = scope;
  }

  /** Holds an address for one Ethernet address. */
  public void reserve(long ethernet, int address) {
    leases.put(ethernet, address);
    holders.put(address, ethernet);
  }

  /** The address that an Ethernet address has, if any. */
  public Optional<Integer> lease(long ethernet) {
    return Optional.ofNullable(leases.get(ethernet));
  }

  /** The answer to a client's message, both without their UDP headers; empty when none is due. */
  public Optional<byte[]> answer(byte[] data, int offset, int length) {
    if (length < FIXED_BYTES
        || data[offset] != 1
        || Bytes.getShort(data, offset + 1) != 0x0106
        || Bytes.getInt(data, offset + 236) != COOKIE) {
      return Optional.empty();
    }
    int type = 0;
    int requested = 0;
    int server = 0;
    int at = offset + FIXED_BYTES;
    int end = offset + length;
    while (at < end && data[at] != (byte) 0xff) {
      if (data[at] == 0) {
        at++;
        continue;
      }
      if (end - at < 2 || end - at - 2 < Bytes.getByte(data, at + 1)) {
        return Optional.empty();
      }
      int size = Bytes.getByte(data, at + 1);
      switch (Bytes.getByte(data, at)) {
        case 53 -> type = size == 1 ? data[at + 2] : 0;
        case 50 -> requested = size == 4 ? Bytes.getInt(data, at + 2) : 0;
        case 54 -> server = size == 4 ? Bytes.getInt(data, at + 2) : 0;
        default -> {}
      }
      at += 2 + size;
    }
    long client = Bytes.getAddress(data, offset + 28);
    int current = Bytes.getInt(data, offset + 12);
    return switch (type) {
      case DISCOVER ->
          allocate(client, requested).map(address -> reply(data, offset, OFFER, address));
      case REQUEST -> request(data, offset, client, server, requested != 0 ? requested : current);
      case INFORM -> Optional.of(reply(data, offset, ACKNOWLEDGE, 0));
      case RELEASE -> {
        Integer held = leases.remove(client);
        if (held != null) {
          holders.remove(held);
        }
        yield Optional.empty();
      }
      default -> Optional.empty();
    };
  }

  private Optional<byte[]> request(byte[] data, int offset, long client, int server, int wanted) {
    if (server != 0 && server != scope.server()) {
      return Optional.empty();
    }
    Optional<Integer> address = allocate(client, wanted);
    if (address.isEmpty() || address.get() != wanted) {
      return Optional.of(reply(data, offset, REFUSE, 0));
    }
    return Optional.of(reply(data, offset, ACKNOWLEDGE, wanted));
  }

  private Optional<Integer> allocate(long client, int wanted) {
    Integer held = leases.get(client);
    if (held != null) {
      return Optional.of(held);
    }
    int chosen = 0;
    int index = wanted - scope.first();
    if (index >= 0 && index < scope.count() && !holders.containsKey(wanted)) {
      chosen = wanted;
    }
    for (int i = 0; i < scope.count() && chosen == 0; i++) {
      if (!holders.containsKey(scope.first() + i)) {
        chosen = scope.first() + i;
      }
    }
    if (chosen == 0) {
      return Optional.empty();
    }
    reserve(client, chosen);
    return Optional.of(chosen);
  }

  private byte[] reply(byte[] request, int offset, int type, int address) {
    byte[] reply = new byte[576];
    System.arraycopy(request, offset, reply, 0, 44);
    reply[0] = 2;
    Bytes.putInt(reply, 16, address);
    Bytes.putInt(reply, 20, scope.server());
    Bytes.putInt(reply, 236, COOKIE);
    int at = FIXED_BYTES;
    at = option(reply, at, 53, type, 1);
    at = option(reply, at, 54, scope.server(), 4);
    if (type != REFUSE) {
      if (address != 0) {
        at = option(reply, at, 51, LEASE_SECONDS, 4);
      }
      at = option(reply, at, 1, scope.mask(), 4);
      if (scope.router() != 0) {
        at = option(reply, at, 3, scope.router(), 4);
      }
      if (scope.nameServer() != 0) {
        at = option(reply, at, 6, scope.nameServer(), 4);
      }
      at = option(reply, at, 26, scope.mtu(), 2);
      byte[] domain = scope.domain().getBytes(java.nio.charset.StandardCharsets.US_ASCII);
      if (domain.length > 0) {
        reply[at] = 15;
        reply[at + 1] = (byte) domain.length;
        System.arraycopy(domain, 0, reply, at + 2, domain.length);
        at += 2 + domain.length;
      }
    }
    reply[at++] = (byte) 0xff;
    return Arrays.copyOf(reply, Math.max(at, 300));
  }

  private static int option(byte[] data, int at, int code, int value, int size) {
    data[at] = (byte) code;
    data[at + 1] = (byte) size;
    switch (size) {
      case 1 -> data[at + 2] = (byte) value;
      case 2 -> Bytes.putShort(data, at + 2, value);
      default -> Bytes.putInt(data, at + 2, value);
    }
    return at + 2 + size;
  }
}
