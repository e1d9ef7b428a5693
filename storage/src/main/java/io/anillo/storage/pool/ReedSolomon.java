package io.anillo.storage.pool;

import java.nio.ByteBuffer;

/**
 * Erasure coding over GF(2^8) with a Cauchy matrix, so that any {@code data} of the {@code data +
 * parity} columns give back the rest (Blömer et al., "An XOR-based erasure-resilient coding
 * scheme", 1995). The first parity row is made of ones, so single parity is plain XOR.
 */
final class ReedSolomon {
  private static final int POLYNOMIAL = 0x11d;
  private static final int[] EXP = new int[512];
  private static final int[] LOG = new int[256];
  private static final byte[][] PRODUCTS = new byte[256][];

  static {
    int value = 1;
    for (int i = 0; i < 255; i++) {
      EXP[i] = value;
      EXP[i + 255] = value;
      LOG[value] = i;
      value <<= 1;
      if (value > 255) {
        value ^= POLYNOMIAL;
      }
    }
  }

  private final int data;
  private final int parity;
  private final int[][] rows;

  ReedSolomon(int data, int parity) {
    this.data = data;
    this.parity = parity;
    this.rows = new int[data + parity][data];
    for (int i = 0; i < data; i++) {
      rows[i][i] = 1;
    }
    for (int p = 0; p < parity; p++) {
      for (int c = 0; c < data; c++) {
        // Cauchy: 1 / (x_p + y_c); columns scaled so that the first row is all ones
        int entry = inverse(p ^ (parity + c));
        int scale = parity + c;
        rows[data + p][c] = multiply(entry, scale);
      }
    }
  }

  private static int multiply(int a, int b) {
    return a == 0 || b == 0 ? 0 : EXP[LOG[a] + LOG[b]];
  }

  private static int inverse(int a) {
    return EXP[255 - LOG[a]];
  }

  private static synchronized byte[] products(int factor) {
    byte[] table = PRODUCTS[factor];
    if (table == null) {
      table = new byte[256];
      for (int i = 0; i < 256; i++) {
        table[i] = (byte) multiply(factor, i);
      }
      PRODUCTS[factor] = table;
    }
    return table;
  }

  /** Adds {@code factor × source} to a target of the same length; positions are not moved. */
  private static void addProduct(int factor, ByteBuffer source, ByteBuffer target) {
    int length = source.remaining();
    int from = source.position();
    int to = target.position();
    if (factor == 0) {
      return;
    }
    if (factor == 1) {
      int i = 0;
      for (; i + 8 <= length; i += 8) {
        target.putLong(to + i, target.getLong(to + i) ^ source.getLong(from + i));
      }
      for (; i < length; i++) {
        target.put(to + i, (byte) (target.get(to + i) ^ source.get(from + i)));
      }
      return;
    }
    byte[] table = products(factor);
    for (int i = 0; i < length; i++) {
      target.put(to + i, (byte) (target.get(to + i) ^ table[source.get(from + i) & 0xff]));
    }
  }

  private static void clear(ByteBuffer target) {
    for (int i = target.position(); i < target.limit(); i++) {
      target.put(i, (byte) 0);
    }
  }

  /** Computes the parity columns, {@code columns[data..]}, from the data columns. */
  void encode(ByteBuffer[] columns) {
    for (int p = data; p < data + parity; p++) {
      clear(columns[p]);
      for (int c = 0; c < data; c++) {
        addProduct(rows[p][c], columns[c], columns[p]);
      }
    }
  }

  /**
   * Rebuilds the columns that are not present.
   *
   * @return false when too few are present
   */
  boolean reconstruct(ByteBuffer[] columns, boolean[] present) {
    int[] chosen = new int[data];
    int count = 0;
    for (int i = 0; i < columns.length && count < data; i++) {
      if (present[i]) {
        chosen[count++] = i;
      }
    }
    if (count < data) {
      return false;
    }
    int[][] decode = invert(chosen);
    for (int c = 0; c < data; c++) {
      if (!present[c]) {
        clear(columns[c]);
        for (int i = 0; i < data; i++) {
          addProduct(decode[c][i], columns[chosen[i]], columns[c]);
        }
      }
    }
    for (int p = data; p < columns.length; p++) {
      if (!present[p]) {
        clear(columns[p]);
        for (int c = 0; c < data; c++) {
          addProduct(rows[p][c], columns[c], columns[p]);
        }
      }
    }
    return true;
  }

  /** The inverse of the rows of the chosen columns, by Gauss–Jordan elimination. */
  private int[][] invert(int[] chosen) {
    int[][] left = new int[data][];
    int[][] right = new int[data][data];
    for (int i = 0; i < data; i++) {
      left[i] = rows[chosen[i]].clone();
      right[i][i] = 1;
    }
    for (int column = 0; column < data; column++) {
      int pivot = column;
      while (left[pivot][column] == 0) {
        pivot++;
      }
      swap(left, pivot, column);
      swap(right, pivot, column);
      int factor = inverse(left[column][column]);
      scale(left[column], factor);
      scale(right[column], factor);
      for (int row = 0; row < data; row++) {
        if (row != column && left[row][column] != 0) {
          int amount = left[row][column];
          addRow(left[row], left[column], amount);
          addRow(right[row], right[column], amount);
        }
      }
    }
    return right;
  }

  private static void swap(int[][] matrix, int one, int other) {
    int[] row = matrix[one];
    matrix[one] = matrix[other];
    matrix[other] = row;
  }

  private static void scale(int[] row, int factor) {
    for (int i = 0; i < row.length; i++) {
      row[i] = multiply(row[i], factor);
    }
  }

  private static void addRow(int[] target, int[] source, int factor) {
    for (int i = 0; i < target.length; i++) {
      target[i] ^= multiply(source[i], factor);
    }
  }
}
