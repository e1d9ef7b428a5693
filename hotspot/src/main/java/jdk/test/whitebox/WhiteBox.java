package jdk.test.whitebox;

import java.lang.reflect.Executable;

/**
 * HotSpot's own interface to its compilers, of which it implements the methods itself. It binds
 * them by this class's name, and only where the class was loaded from the boot class path and the
 * virtual machine was started with {@code -XX:+UnlockDiagnosticVMOptions -XX:+WhiteBoxAPI}.
 *
 * <p>Declared are only the methods that the translator needs. For each of the others HotSpot prints
 * a warning, which {@code -XX:-DisplayVMOutput} silences.
 */
public final class WhiteBox {
  static {
    registerNatives();
  }

  private static native void registerNatives();

  /**
   * Asks for a method to be compiled in the background.
   *
   * @param level 1: the fast compiler without profiling; 4: the optimizing compiler
   * @param bci -1 for the method from its beginning
   * @return whether the request was taken
   */
  public native boolean enqueueMethodForCompilation0(Executable method, int level, int bci);

  /**
   * Lets HotSpot's interpreter count which ways the method takes, from now on, and HotSpot take the
   * method for one of which enough was counted.
   */
  public native void markMethodProfiled(Executable method);

  /** The level at which the method is compiled now; 0 where it is not. */
  public native int getMethodCompilationLevel0(Executable method, boolean isOsr);

  public native boolean isMethodQueuedForCompilation0(Executable method);

  /** How many methods wait for the compiler of a level; one being compiled does not. */
  public native int getCompileQueueSize(int level);

  /** The value of a flag that the virtual machine was started with, or has by default. */
  public native Boolean getBooleanVMFlag(String name);
}
