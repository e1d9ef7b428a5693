package io.anillo.storage.pool;

import static io.anillo.storage.pool.TreeNode.FAN_OUT;
import static io.anillo.storage.pool.TreeNode.FAN_OUT_BITS;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Volumes that share blocks: one that was created, and its clones. Holds their version tree and the
 * maps of all versions; everything in it is guarded by one lock.
 *
 * <p>Invariant: the versions that hold a given block at a given place form a connected part of the
 * version tree, because a block is written once, in one version, and inherited downwards. So a
 * block of a version is shared exactly if its parent or a child has the same pointer at that place.
 */
final class VolumeFamily {
  /** Loads a stored node and checks it. */
  interface NodeLoader {
    TreeNode load(int level, long location, long check) throws IOException;
  }

  private record CachedLeaf(TreeNode parent, int slot) {}

  final int id;
  final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  final Map<Integer, Version> versions = new LinkedHashMap<>();
  private final NodeLoader loader;
  private final int maximumLeaves;
  private final List<CachedLeaf> leaves = new ArrayList<>();
  private int clockHand;

  VolumeFamily(int id, NodeLoader loader, int maximumLeaves) {
    this.id = id;
    this.loader = loader;
    this.maximumLeaves = maximumLeaves;
  }

  /** Of the map of the largest volume in the smallest blocks. */
  static final int MAX_HEIGHT = heightFor(VolumeSpecification.MAX_BYTES / BlockPointer.UNIT_BYTES);

  static int heightFor(long blocks) {
    int height = 1;
    while (height * FAN_OUT_BITS < 62 && 1L << (height * FAN_OUT_BITS) < blocks) {
      height++;
    }
    return height;
  }

  private static int slot(long block, int level) {
    return (int) (block >>> (level * FAN_OUT_BITS)) & (FAN_OUT - 1);
  }

  @Nullable Version parent(Version version) {
    return versions.get(version.parentId);
  }

  List<Version> children(Version version) {
    List<Version> children = new ArrayList<>();
    for (Version other : versions.values()) {
      if (other.parentId == version.id) {
        children.add(other);
      }
    }
    return children;
  }

  @Nullable TreeNode root(Version version) throws IOException {
    if (version.root == null && version.rootLocation != 0) {
      version.root = loader.load(version.height - 1, version.rootLocation, version.rootCheck);
    }
    return version.root;
  }

  private @Nullable TreeNode child(TreeNode node, int slot) throws IOException {
    TreeNode child = node.child(slot);
    if (child == null && node.location(slot) != 0) {
      child = loader.load(node.level - 1, node.location(slot), node.check(slot));
      node.setChild(slot, child);
      if (child.level == 0) {
        remember(node, slot);
      }
    }
    if (child != null) {
      child.used = true;
    }
    return child;
  }

  private void remember(TreeNode parent, int slot) {
    if (leaves.size() >= maximumLeaves) {
      evict();
    }
    leaves.add(new CachedLeaf(parent, slot));
  }

  private void evict() {
    int looked = 0;
    int goal = maximumLeaves - maximumLeaves / 8;
    while (leaves.size() > goal && looked < 2 * maximumLeaves) {
      looked++;
      clockHand = clockHand >= leaves.size() ? 0 : clockHand;
      CachedLeaf cached = leaves.get(clockHand);
      TreeNode leaf = cached.parent.child(cached.slot);
      if (leaf == null || (!leaf.dirty && !leaf.used)) {
        if (leaf != null) {
          cached.parent.setChild(cached.slot, null);
        }
        CachedLeaf last = leaves.removeLast();
        if (clockHand < leaves.size()) {
          leaves.set(clockHand, last);
        }
      } else {
        leaf.used = false;
        clockHand++;
      }
    }
  }

  /**
   * The leaf of a block if everything on the way is in memory; for readers under the shared lock.
   *
   * @param loaded set to false when something has to be loaded first
   */
  @Nullable TreeNode peekLeaf(Version version, long block, boolean[] loaded) {
    loaded[0] = true;
    TreeNode node = version.root;
    if (node == null) {
      loaded[0] = version.rootLocation == 0;
      return null;
    }
    if (block >>> (version.height * FAN_OUT_BITS) != 0) {
      return null;
    }
    while (node.level > 0) {
      int slot = slot(block, node.level);
      TreeNode child = node.child(slot);
      if (child == null) {
        loaded[0] = node.location(slot) == 0;
        return null;
      }
      node = child;
    }
    if (!node.used) {
      node.used = true;
    }
    return node;
  }

  /** The leaf of a block, or null when none of its blocks is stored; under the exclusive lock. */
  @Nullable TreeNode leaf(Version version, long block) throws IOException {
    if (block >>> (version.height * FAN_OUT_BITS) != 0) {
      return null;
    }
    TreeNode node = root(version);
    while (node != null && node.level > 0) {
      node = child(node, slot(block, node.level));
    }
    return node;
  }

  /**
   * The leaf of a block, made or copied so that it belongs to this version alone; under the
   * exclusive lock.
   *
   * @param freedNode told where nodes lay that nobody needs any more
   */
  TreeNode leafForWrite(Version version, long block, FreedNodes freedNode) throws IOException {
    while (block >>> (version.height * FAN_OUT_BITS) != 0) {
      raise(version);
    }
    TreeNode root = root(version);
    if (root == null) {
      root = new TreeNode(version.height - 1, version.id);
      root.dirty = true;
      version.root = root;
    } else if (root.birth != version.id) {
      TreeNode copy = root.copyFor(version.id);
      if (!sharedAt(parent(version), root, block, root.level)) {
        freedNode.freed(root);
      }
      version.root = copy;
      root = copy;
    }
    own(root, freedNode);
    TreeNode node = root;
    while (node.level > 0) {
      int slot = slot(block, node.level);
      TreeNode next = child(node, slot);
      if (next == null) {
        next = new TreeNode(node.level - 1, version.id);
        next.dirty = true;
        node.setChild(slot, next);
        if (next.level == 0) {
          remember(node, slot);
        }
      } else if (next.birth != version.id) {
        TreeNode copy = next.copyFor(version.id);
        if (!sharedAt(parent(version), next, block, next.level)) {
          freedNode.freed(next);
        }
        node.setChild(slot, copy);
        next = copy;
      }
      own(next, freedNode);
      node = next;
    }
    node.used = true;
    return node;
  }

  /** Told of nodes whose stored form is out of use. */
  interface FreedNodes {
    void freed(TreeNode node);
  }

  private static void own(TreeNode node, FreedNodes freedNode) {
    if (node.location != 0) {
      freedNode.freed(node);
      node.location = 0;
    }
    node.dirty = true;
  }

  /** Adds a level on top. */
  private void raise(Version version) throws IOException {
    TreeNode old = root(version);
    version.height++;
    if (old != null) {
      TreeNode root = new TreeNode(version.height - 1, version.id);
      root.set(0, old.location, old.check);
      root.setChild(0, old);
      version.root = root;
      version.rootLocation = 0;
    }
  }

  /** Whether another version has this very node on the way to a block. */
  private boolean sharedAt(@Nullable Version other, TreeNode node, long block, int level)
      throws IOException {
    return other != null && nodeAt(other, block, level) == node
        || other != null && node.location != 0 && locationAt(other, block, level) == node.location;
  }

  private @Nullable TreeNode nodeAt(Version version, long block, int level) throws IOException {
    if (version.height - 1 < level || block >>> (version.height * FAN_OUT_BITS) != 0) {
      return null;
    }
    TreeNode node = root(version);
    while (node != null && node.level > level) {
      node = child(node, slot(block, node.level));
    }
    return node;
  }

  private long locationAt(Version version, long block, int level) throws IOException {
    TreeNode node = nodeAt(version, block, level);
    return node == null ? 0 : node.location;
  }

  /** Whether the parent has the same block at the same place. */
  boolean parentHas(Version version, long block, long location) throws IOException {
    Version parent = parent(version);
    if (parent == null) {
      return false;
    }
    TreeNode leaf = leaf(parent, block);
    return leaf != null && leaf.location((int) block & (FAN_OUT - 1)) == location;
  }

  /**
   * Finds what only this version holds: its blocks and nodes that neither its parent nor a child
   * has.
   */
  void exclusive(Version version, Consumer<Long> blocks, FreedNodes nodes) throws IOException {
    List<Version> relatives = new ArrayList<>(children(version));
    Version parent = parent(version);
    if (parent != null) {
      relatives.add(parent);
    }
    TreeNode root = root(version);
    if (root != null) {
      exclusive(root, 0, relatives, blocks, nodes);
    }
  }

  private void exclusive(
      TreeNode node,
      long firstBlock,
      List<Version> relatives,
      Consumer<Long> blocks,
      FreedNodes nodes)
      throws IOException {
    List<TreeNode> others = new ArrayList<>();
    for (Version relative : relatives) {
      TreeNode other = nodeAt(relative, firstBlock, node.level);
      if (other != null) {
        if (other == node || (node.location != 0 && other.location == node.location)) {
          return;
        }
        others.add(other);
      }
    }
    nodes.freed(node);
    for (int slot = 0; slot < FAN_OUT; slot++) {
      if (!node.hasSlot(slot)) {
        continue;
      }
      if (node.level > 0) {
        TreeNode child = child(node, slot);
        if (child != null) {
          long first = firstBlock + ((long) slot << (node.level * FAN_OUT_BITS));
          exclusive(child, first, relatives, blocks, nodes);
        }
        continue;
      }
      long location = node.location(slot);
      boolean shared = false;
      for (TreeNode other : others) {
        shared |= other.location(slot) == location;
      }
      if (!shared) {
        blocks.accept(location);
      }
    }
  }

  /** Told of a block's change between two versions; locations are 0 where nothing is stored. */
  interface Difference {
    void block(long block, long newLocation, long newCheck) throws IOException;
  }

  /** Lists the blocks of one version that differ from another's (or from nothing). */
  void difference(@Nullable Version from, Version to, Difference found) throws IOException {
    difference(from, to, Math.max(to.height, from == null ? 0 : from.height) - 1, 0, found);
  }

  /** Blocks that one call of the following looks at. */
  static final long DIFFERENCE_BLOCKS = 1L << (2 * FAN_OUT_BITS);

  /** The same for a part: so many blocks from one that is a multiple of their number. */
  void difference(@Nullable Version from, Version to, long firstBlock, Difference found)
      throws IOException {
    difference(from, to, 1, firstBlock, found);
  }

  private void difference(
      @Nullable Version from, Version to, int level, long first, Difference found)
      throws IOException {
    TreeNode now = nodeAt(to, first, level);
    TreeNode before = from == null ? null : nodeAt(from, first, level);
    boolean toTaller = level > to.height - 1;
    boolean fromTaller = from != null && level > from.height - 1;
    if (!toTaller && !fromTaller) {
      if (now == before
          || (now != null
              && before != null
              && now.location != 0
              && now.location == before.location)) {
        return;
      }
    }
    if (level == 0) {
      for (int slot = 0; slot < FAN_OUT; slot++) {
        long location = now == null ? 0 : now.location(slot);
        long old = before == null ? 0 : before.location(slot);
        if (location != old) {
          found.block(first + slot, location, now == null ? 0 : now.check(slot));
        }
      }
      return;
    }
    for (int slot = 0; slot < FAN_OUT; slot++) {
      boolean present =
          (toTaller && slot == 0)
              || (fromTaller && slot == 0)
              || (now != null && now.hasSlot(slot))
              || (before != null && before.hasSlot(slot));
      if (present) {
        difference(from, to, level - 1, first + ((long) slot << (level * FAN_OUT_BITS)), found);
      }
    }
  }

  /** Calls back for every dirty node, children before their parents, so that each can be stored. */
  void forEachDirty(Consumer<TreeNode> store) {
    for (Version version : versions.values()) {
      TreeNode root = version.root;
      if (root != null && root.dirty) {
        storeDirty(root, store);
      }
      if (root != null) {
        version.rootLocation = root.location;
        version.rootCheck = root.check;
      }
    }
  }

  private static void storeDirty(TreeNode node, Consumer<TreeNode> store) {
    if (node.level > 0) {
      for (int slot = 0; slot < FAN_OUT; slot++) {
        TreeNode child = node.child(slot);
        if (child == null) {
          continue;
        }
        if (child.dirty) {
          storeDirty(child, store);
        }
        if (node.location(slot) != child.location) {
          node.set(slot, child.location, child.check);
        }
      }
    }
    store.accept(node);
  }

  private static final int RANGE_BITS = 2 * FAN_OUT_BITS;

  /** Parts that {@link #collect} divides a version into. */
  static long ranges(Version version) {
    return 1L << Math.max(0, version.height * FAN_OUT_BITS - RANGE_BITS);
  }

  /**
   * Lists the stored blocks and nodes of a part of a version, location and check in turn, except
   * what was seen before; under the exclusive lock.
   */
  void collect(Version version, long range, Set<Long> seen, LongList found) throws IOException {
    TreeNode node = root(version);
    long first = range << RANGE_BITS;
    while (node != null && node.level > 1) {
      if (node.location != 0 && seen.add(node.location)) {
        found.add(node.location);
        found.add(node.check);
      }
      node = child(node, slot(first, node.level));
    }
    if (node != null) {
      collectBelow(node, seen, found);
    }
  }

  private void collectBelow(TreeNode node, Set<Long> seen, LongList found) throws IOException {
    if (node.location != 0) {
      if (!seen.add(node.location)) {
        return;
      }
      found.add(node.location);
      found.add(node.check);
    }
    for (int slot = 0; slot < FAN_OUT; slot++) {
      if (node.level > 0 && node.hasSlot(slot)) {
        TreeNode child = child(node, slot);
        if (child != null) {
          collectBelow(child, seen, found);
        }
      } else if (node.level == 0 && node.location(slot) != 0) {
        found.add(node.location(slot));
        found.add(node.check(slot));
      }
    }
  }

  /** Visits every node and block once, whatever number of versions share it. */
  void visit(Visitor visitor) throws IOException {
    for (Version version : List.copyOf(versions.values())) {
      TreeNode root = root(version);
      if (root != null) {
        visit(version, root, 0, visitor);
      }
    }
  }

  /** Sees nodes and leaves. */
  interface Visitor {
    /**
     * Whether to go below this node; false when it was seen before.
     *
     * @param first the first block below it
     */
    boolean enter(TreeNode node, long first) throws IOException;
  }

  private void visit(Version version, TreeNode node, long first, Visitor visitor)
      throws IOException {
    if (!visitor.enter(node, first) || node.level == 0) {
      return;
    }
    for (int slot = 0; slot < FAN_OUT; slot++) {
      if (node.hasSlot(slot)) {
        TreeNode child = child(node, slot);
        if (child != null) {
          visit(version, child, first + ((long) slot << (node.level * FAN_OUT_BITS)), visitor);
        }
      }
    }
  }
}
