package io.anillo.network.tenant;

/** Names of tenants' things: {@code TENANT/NAME}, each part a host name's label. */
public final class Names {
  public static final String DEFAULT_TENANT = "default";

  private Names() {}

  /** {@code name} in a tenant, unless it names one itself. */
  public static String qualify(String name, String tenant) {
    String qualified = name.contains("/") ? name : tenant + "/" + name;
    check(qualified);
    return qualified;
  }

  static void check(String name) {
    if (!name.matches("[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?/[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")) {
      throw new IllegalArgumentException(
          "\"" + name + "\" is no name; names have letters a to z, digits and inner hyphens");
    }
  }

  public static String tenant(String name) {
    return name.substring(0, name.indexOf('/'));
  }

  public static String local(String name) {
    return name.substring(name.indexOf('/') + 1);
  }

  /** The name as people of the default tenant see it. */
  public static String shown(String name) {
    return tenant(name).equals(DEFAULT_TENANT) ? local(name) : name;
  }
}
