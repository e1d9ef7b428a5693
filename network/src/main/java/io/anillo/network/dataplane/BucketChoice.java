package io.anillo.network.dataplane;

import io.anillo.network.flow.Group;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.FlowKey;
import java.util.List;

/** Which bucket of a group a flow takes. */
final class BucketChoice {
  private BucketChoice() {}

  /** The first live bucket of a fast-failover group, -1 when none is. */
  static int firstLive(List<Group.Bucket> buckets, Pipeline pipeline) {
    for (int i = 0; i < buckets.size(); i++) {
      if (live(buckets.get(i), pipeline, false, 0)) {
        return i;
      }
    }
    return -1;
  }

  /**
   * The bucket of a select group by weighted rendezvous hashing: when a bucket dies, only the flows
   * it had move. Returns -1 when no bucket lives.
   */
  static int select(List<Group.Bucket> buckets, FlowKey key, Pipeline pipeline) {
    long flow = FlowKey.mix(key.destination(), key.source());
    if (key.words[FlowKey.TRANSPORT] >>> 24 != 0) {
      flow =
          FlowKey.mix(key.words[FlowKey.TRANSPORT] & 0xffffffffff000000L, key.words[FlowKey.IPV4]);
      for (int i = 0; i < 4; i++) {
        flow = FlowKey.mix(flow, key.words[FlowKey.IPV6_SOURCE + i]);
      }
    }
    int best = -1;
    double bestScore = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < buckets.size(); i++) {
      Group.Bucket bucket = buckets.get(i);
      if (bucket.weight() == 0 || !live(bucket, pipeline, true, 0)) {
        continue;
      }
      int hash = FlowKey.finish(FlowKey.mix(flow, identity(bucket)));
      double uniform = ((hash & 0xffffffffL) + 0.5) / 0x1p32;
      double score = bucket.weight() / -Math.log(uniform);
      if (score > bestScore) {
        bestScore = score;
        best = i;
      }
    }
    return best;
  }

  /** What stays the same about a bucket when its neighbours come and go. */
  private static long identity(Group.Bucket bucket) {
    return bucket.actions().hashCode() * 0x9E3779B97F4A7C15L;
  }

  static boolean live(Group.Bucket bucket, Pipeline pipeline, boolean whenUnwatched, int depth) {
    boolean watched = false;
    if (bucket.watchPort() != Ports.ANY) {
      watched = true;
      SwitchPort port = pipeline.port(bucket.watchPort());
      if (port != null && port.live()) {
        return true;
      }
    }
    if (bucket.watchGroup() != Ports.ANY_GROUP && depth < 8) {
      watched = true;
      Group group = pipeline.group(bucket.watchGroup());
      if (group != null) {
        for (Group.Bucket inner : group.buckets()) {
          if (live(inner, pipeline, true, depth + 1)) {
            return true;
          }
        }
      }
    }
    return !watched && whenUnwatched;
  }
}
