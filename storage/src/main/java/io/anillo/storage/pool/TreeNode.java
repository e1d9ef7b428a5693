package io.anillo.storage.pool;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A node of a volume's map: 256 pointers. At level 0 they point to blocks, above to nodes. A node
 * belongs to the version that made it; other versions share it and copy it before they change it.
 */
final class TreeNode {
  static final int FAN_OUT_BITS = 8;
  static final int FAN_OUT = 1 << FAN_OUT_BITS;

  final int level;
  final int birth;
  final long[] words;
  final @Nullable TreeNode @Nullable [] children;

  /** Where its last stored form lies, 0 if never stored. */
  long location;

  long check;
  boolean dirty;

  /** Whether it is among the {@link PoolState#dirtyLeaves}. */
  boolean counted;

  volatile boolean used;

  TreeNode(int level, int birth) {
    this.level = level;
    this.birth = birth;
    this.words = new long[2 * FAN_OUT];
    this.children = level == 0 ? null : new TreeNode[FAN_OUT];
  }

  private TreeNode(TreeNode original, int birth) {
    this.level = original.level;
    this.birth = birth;
    this.words = original.words.clone();
    this.children = original.children == null ? null : original.children.clone();
    this.dirty = true;
  }

  /** A changed node as a new version will have it. */
  TreeNode copyFor(int newBirth) {
    return new TreeNode(this, newBirth);
  }

  long location(int slot) {
    return words[2 * slot];
  }

  long check(int slot) {
    return words[2 * slot + 1];
  }

  void set(int slot, long newLocation, long newCheck) {
    words[2 * slot] = newLocation;
    words[2 * slot + 1] = newCheck;
    dirty = true;
  }

  @Nullable TreeNode child(int slot) {
    return children == null ? null : children[slot];
  }

  void setChild(int slot, @Nullable TreeNode child) {
    if (children == null) {
      throw new IllegalStateException("a leaf has no child nodes");
    }
    children[slot] = child;
  }

  boolean hasSlot(int slot) {
    return words[2 * slot] != 0 || (children != null && children[slot] != null);
  }

  void serialize(ByteBuffer target) {
    target.asLongBuffer().put(words);
  }

  static TreeNode parse(int level, int birth, ByteBuffer source) {
    TreeNode node = new TreeNode(level, birth);
    source.asLongBuffer().get(node.words);
    return node;
  }
}
