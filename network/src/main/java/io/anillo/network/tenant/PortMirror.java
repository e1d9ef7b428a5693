package io.anillo.network.tenant;

/** Copies everything that one port sends and receives to another port of the same tenant. */
public record PortMirror(String name, String source, String target) {
  public PortMirror {
    Names.check(name);
    if (source.equals(target)) {
      throw new IllegalArgumentException("mirror " + name + ": a port cannot watch itself");
    }
  }
}
