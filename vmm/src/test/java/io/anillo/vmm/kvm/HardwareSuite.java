package io.anillo.vmm.kvm;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs tests by name where there is no Maven, and prints how each ends. The exit status is 0 when
 * at least one ran and none failed.
 */
final class HardwareSuite {
  private HardwareSuite() {}

  /**
   * Runs them.
   *
   * @param names of classes, or {@code class#method}
   */
  public static void main(String[] names) {
    List<DiscoverySelector> selectors =
        List.of(names).stream()
            .<DiscoverySelector>map(name ->
                name.contains("#")
                    ? DiscoverySelectors.selectMethod(name)
                    : DiscoverySelectors.selectClass(name))
            .toList();
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request().selectors(selectors).build();
    Listener listener = new Listener();
    LauncherFactory.create().execute(request, listener);
    System.out.printf(
        "%d succeeded, %d failed, %d were left out%n",
        listener.succeeded.get(), listener.failed.get(), listener.leftOut.get());
    System.exit(listener.failed.get() == 0 && listener.succeeded.get() > 0 ? 0 : 1);
  }

  private static final class Listener implements TestExecutionListener {
    final AtomicInteger succeeded = new AtomicInteger();
    final AtomicInteger failed = new AtomicInteger();
    final AtomicInteger leftOut = new AtomicInteger();

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
      leftOut.incrementAndGet();
      System.out.println("left out: " + test.getDisplayName() + ": " + reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
      switch (result.getStatus()) {
        case SUCCESSFUL -> {
          if (test.isTest()) {
            succeeded.incrementAndGet();
            System.out.println("succeeded: " + test.getLegacyReportingName());
          }
        }
        case ABORTED -> {
          leftOut.incrementAndGet();
          System.out.println("left out: " + test.getDisplayName() + ": " + reason(result));
        }
        case FAILED -> {
          failed.incrementAndGet();
          System.out.println("failed: " + test.getLegacyReportingName());
          result.getThrowable().ifPresent(thrown -> thrown.printStackTrace(System.out));
        }
      }
    }

    private static String reason(TestExecutionResult result) {
      return result.getThrowable().map(thrown -> String.valueOf(thrown.getMessage())).orElse("");
    }
  }
}
