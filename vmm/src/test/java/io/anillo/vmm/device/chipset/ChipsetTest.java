package io.anillo.vmm.device.chipset;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.machine.TestBoard;
import io.anillo.vmm.machine.TestMachine;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Keyboard controller, port 0x92, debug ports and ACPI registers on a whole board. */
class ChipsetTest {
  private final TestMachine machine = new TestMachine(1);

  @AfterEach
  void close() {
    machine.close();
  }

  private java.util.Optional<MachineRequest> request() {
    return machine.base.board.takeRequest();
  }

  private Device device(String name) {
    return machine.board.devices().stream()
        .filter(d -> d.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private void roundTrip(String name) {
    byte[] state = TestBoard.save(device(name));
    device(name).reset();
    assertThat(TestBoard.save(device(name))).as("reset changes " + name).isNotEqualTo(state);
    TestBoard.restore(device(name), state);
    assertThat(TestBoard.save(device(name))).as(name).isEqualTo(state);
  }

  @Test
  void theKeyboardControllerTestsItselfAndFindsNothingPluggedIn() {
    machine.out(0x64, 0xAA);
    assertThat(machine.in(0x64) & 1).isEqualTo(1);
    assertThat(machine.in(0x60)).isEqualTo(0x55);
    assertThat(machine.in(0x64) & 1).isZero();
    machine.out(0x64, 0xAB);
    assertThat(machine.in(0x60)).isZero();
    machine.out(0x64, 0x60);
    machine.out(0x60, 0x47);
    machine.out(0x64, 0x20);
    assertThat(machine.in(0x60)).isEqualTo(0x47);
    machine.out(0x60, 0xFF);
    assertThat(machine.in(0x64) & 0x41).as("timeout").isEqualTo(0x41);
    assertThat(machine.in(0x60)).isEqualTo(0xFE);
    machine.out(0x64, 0xD4);
    machine.out(0x60, 0xF2);
    assertThat(machine.in(0x64) & 0x61).as("timeout of the mouse").isEqualTo(0x61);
    machine.out(0x64, 0x60);
    machine.out(0x60, 0x12);
    roundTrip("i8042");
  }

  @Test
  void resetsThroughThreeDoors() {
    machine.out(0x64, 0xFE);
    assertThat(request()).contains(new MachineRequest.Reset("keyboard controller"));
    machine.out(0x92, 0x03);
    assertThat(request()).contains(new MachineRequest.Reset("port 0x92"));
    machine.out(0xCF9, 0x02);
    assertThat(request()).isEmpty();
    machine.out(0xCF9, 0x06);
    assertThat(request()).contains(new MachineRequest.Reset("port 0xCF9"));
  }

  @Test
  void addressLine20IsShownConsistently() {
    machine.out(0x92, 0x00);
    machine.out(0x64, 0xD0);
    assertThat(machine.in(0x60) & 2).isZero();
    machine.out(0x64, 0xD1);
    machine.out(0x60, 0x03);
    assertThat(machine.in(0x92) & 2).isEqualTo(2);
    assertThat(request()).isEmpty();
  }

  @Test
  void debugPortsPrintAndExit() {
    for (char c : "boot\n".toCharArray()) {
      machine.out(0xE9, c);
    }
    machine.out(0x402, 'x');
    machine.advance(2_000_000);
    assertThat(machine.console.toString(StandardCharsets.US_ASCII)).isEqualTo("boot\nx");
    assertThat(machine.in(0xE9)).isEqualTo(0xE9);
    machine.board.busOf(0).writePort(0xF4, 4, 0x21);
    assertThat(request()).contains(new MachineRequest.DebugExit(0x21));
  }

  @Test
  void acpiPowersOff() {
    var bus = machine.board.busOf(0);
    assertThat(bus.readPort(0x604, 2) & 1).as("ACPI mode").isEqualTo(1);
    bus.writePort(0x604, 2, 5 << 10);
    assertThat(request()).isEmpty();
    bus.writePort(0x604, 2, 5 << 10 | 1 << 13);
    assertThat(request()).contains(new MachineRequest.PowerOff());
    roundTrip("acpi-pm");
  }

  @Test
  void thePowerManagementTimerRuns() {
    var bus = machine.board.busOf(0);
    int before = bus.readPort(0x608, 4);
    machine.advance(1_000_000_000);
    assertThat(bus.readPort(0x608, 4) - before).isEqualTo(3_579_545);
    bus.writePort(0x602, 2, 1);
    machine.advance(700_000_000_000L);
    assertThat(bus.readPort(0x600, 2) & 1).as("bit 31 toggled").isEqualTo(1);
    bus.writePort(0x600, 2, 1);
    assertThat(bus.readPort(0x600, 2)).isZero();
  }

  @Test
  void thePowerButtonInterrupts() {
    var bus = machine.board.busOf(0);
    machine.apic(0, 0xF0, 0x1FF);
    machine.ioApic(0x10 + 18, 0x59 | 1 << 15);
    bus.writePort(0x602, 2, 1 << 8);
    machine.board.acpi().pressPowerButton();
    machine.advance(0);
    assertThat(bus.readPort(0x600, 2)).isEqualTo(1 << 8);
    assertThat(machine.take(0)).isEqualTo(0x59);
    bus.writePort(0x600, 2, 1 << 8);
    machine.apic(0, 0xB0, 0);
    assertThat(machine.take(0)).isEqualTo(-1);
  }

  @Test
  void aMachineStartsPausesAndStops() {
    machine.board.start();
    machine.out(0xE9, 'a');
    machine.board.pause();
    assertThat(machine.console.toString(StandardCharsets.US_ASCII)).isEqualTo("a");
    machine.board.resume();
    machine.board.stop();
  }
}
