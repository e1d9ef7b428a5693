package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.cpu.CpuState.CR0_EM;
import static io.anillo.vmm.cpu.CpuState.CR0_MP;
import static io.anillo.vmm.cpu.CpuState.CR0_NE;
import static io.anillo.vmm.cpu.CpuState.CR0_TS;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Performs the escape instructions D8 to DF and FWAIT completely (Intel SDM vol. 2 appendix A.5,
 * tables ). Encodings without a meaning are #UD; the aliases that processors have
 * without documenting them (FCOM2, FXCH4, FSTP8, FFREEP …) work.
 *
 * <p>One instance for each processor.
 */
public final class X87Instructions {
  /** What becomes of a pending exception when CR0.NE is clear and it goes out over FERR#. */
  public interface ExternalErrorLine {
    /**
     * An instruction found a pending exception.
     *
     * @return whether IGNNE# is asserted, so that the instruction goes on all the same
     */
    boolean report();
  }

  private final Processor processor;
  private final CpuState state;
  private final X87 unit;
  private final X87Arithmetic arithmetic;
  private final X87Transfers transfers;
  private final X87Transcendentals transcendentals;
  private final X87Environment environment;
  private ExternalErrorLine errorLine = () -> true;

  public X87Instructions(Processor processor) {
    this.processor = processor;
    this.state = processor.state;
    this.unit = new X87(state);
    this.arithmetic = new X87Arithmetic(unit);
    this.transfers = new X87Transfers(unit);
    this.transcendentals = new X87Transcendentals(unit);
    this.environment = new X87Environment(processor, unit);
  }

  /** Connects FERR# and IGNNE#; until then a pending exception is ignored while CR0.NE is clear. */
  public void connect(ExternalErrorLine line) {
    errorLine = line;
  }

  public X87 unit() {
    return unit;
  }

  public X87Arithmetic arithmetic() {
    return arithmetic;
  }

  public X87Transfers transfers() {
    return transfers;
  }

  public X87Transcendentals transcendentals() {
    return transcendentals;
  }

  /** The images of FXSAVE and its like. */
  public X87Environment environment() {
    return environment;
  }

  /** FWAIT. */
  public void waitForUnit() {
    if ((state.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
      throw processor.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
    checkPending();
  }

  /** The checks before an MMX instruction: #UD, #NM, #MF; FXSAVE and FXRSTOR have their own. */
  public void checkMmx() {
    if ((state.cr0 & CR0_EM) != 0) {
      throw processor.invalidOpcode();
    }
    if ((state.cr0 & CR0_TS) != 0) {
      throw processor.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
    checkPending();
  }

  /** Raises #MF when an unmasked exception is pending. */
  public void checkPending() {
    if ((state.x87Status & X87.ERROR_SUMMARY) == 0) {
      return;
    }
    if ((state.cr0 & CR0_NE) != 0 || !errorLine.report()) {
      throw processor.fault(GuestFault.X87, 0);
    }
  }

  /**
   * Performs one instruction.
   *
   * @param opcode the first byte, 0xD8 to 0xDF
   * @param modrm the ModRM byte
   * @param linear the linear address of the operand of a memory form
   * @param offset its offset in its segment, for the data pointer
   * @param dataSelector the selector of that segment
   * @param instructionPointer the instruction's own RIP, its prefixes included
   * @param operand32 whether the operand size is not 16 bits: the format of environments
   */
  public void execute(
      int opcode,
      int modrm,
      long linear,
      long offset,
      int dataSelector,
      long instructionPointer,
      boolean operand32) {
    if ((state.cr0 & (CR0_EM | CR0_TS)) != 0) {
      throw processor.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
    if (modrm >= 0xC0) {
      if (register(opcode, modrm)) {
        record(opcode, modrm, instructionPointer);
      }
    } else if (memory(opcode, modrm >>> 3 & 7, linear, operand32)) {
      record(opcode, modrm, instructionPointer);
      state.x87DataPointer = offset;
      state.x87DataSelector = dataSelector;
    }
  }

  private void record(int opcode, int modrm, long instructionPointer) {
    state.x87Opcode = (opcode & 7) << 8 | modrm;
    state.x87InstructionPointer = instructionPointer;
    state.x87InstructionSelector = state.segmentSelector[CpuState.CS];
  }

  // ---- memory forms: true for those that leave their traces in the pointers ----

  private boolean memory(int opcode, int operation, long linear, boolean operand32) {
    switch (opcode) {
      case 0xD8 -> {
        checkPending();
        arithmetic.memoryFloat32(operation, (int) processor.load(linear, 4));
      }
      case 0xD9 -> {
        return memoryD9(operation, linear, operand32);
      }
      case 0xDA -> {
        checkPending();
        arithmetic.memoryInteger(operation, (int) processor.load(linear, 4));
      }
      case 0xDB -> memoryDB(operation, linear);
      case 0xDC -> {
        checkPending();
        arithmetic.memoryFloat64(operation, processor.load(linear, 8));
      }
      case 0xDD -> {
        return memoryDD(operation, linear, operand32);
      }
      case 0xDE -> {
        checkPending();
        arithmetic.memoryInteger(operation, (short) processor.load(linear, 2));
      }
      case 0xDF -> memoryDF(operation, linear);
      default -> throw processor.invalidOpcode();
    }
    return true;
  }

  private boolean memoryD9(int operation, long linear, boolean operand32) {
    switch (operation) {
      case 0 -> {
        checkPending();
        transfers.loadFloat32((int) processor.load(linear, 4));
        return true;
      }
      case 2, 3 -> {
        checkPending();
        int bits = transfers.prepareFloat32();
        if (transfers.storeAllowed()) {
          processor.store(linear, 4, bits & 0xFFFF_FFFFL);
        }
        transfers.finishStore(operation == 3);
        return true;
      }
      case 4 -> {
        checkPending();
        environment.loadEnvironment(linear, operand32);
      }
      case 5 -> {
        checkPending();
        unit.loadControl((int) processor.load(linear, 2));
      }
      case 6 -> environment.storeEnvironment(linear, operand32);
      case 7 -> processor.store(linear, 2, state.x87Control);
      default -> throw processor.invalidOpcode();
    }
    return false;
  }

  private void memoryDB(int operation, long linear) {
    switch (operation) {
      case 0 -> {
        checkPending();
        transfers.loadInteger((int) processor.load(linear, 4));
      }
      case 1, 2, 3 -> storeInteger(linear, 4, operation);
      case 5 -> {
        checkPending();
        long significand = processor.load(linear, 8);
        transfers.loadFloat80((int) processor.load(linear + 8, 2), significand);
      }
      case 7 -> {
        checkPending();
        transfers.prepareFloat80();
        storeTen(linear);
      }
      default -> throw processor.invalidOpcode();
    }
  }

  /** FISTTP, FIST and FISTP, as operations 1 to 3. */
  private void storeInteger(long linear, int sizeBytes, int operation) {
    checkPending();
    long value = transfers.prepareInteger(sizeBytes * 8, operation == 1);
    if (transfers.storeAllowed()) {
      processor.store(
          linear, sizeBytes, sizeBytes == 8 ? value : value & (1L << (sizeBytes * 8)) - 1);
    }
    transfers.finishStore(operation != 2);
  }

  /** Stores the ten bytes that were prepared in the context, and pops. */
  private void storeTen(long linear) {
    if (transfers.storeAllowed()) {
      processor.probeWrite(linear + 8, 2);
      processor.store(linear, 8, unit.context.significand);
      processor.store(linear + 8, 2, unit.context.signExponent);
    }
    transfers.finishStore(true);
  }

  private boolean memoryDD(int operation, long linear, boolean operand32) {
    switch (operation) {
      case 0 -> {
        checkPending();
        transfers.loadFloat64(processor.load(linear, 8));
        return true;
      }
      case 1 -> {
        storeInteger(linear, 8, 1);
        return true;
      }
      case 2, 3 -> {
        checkPending();
        long bits = transfers.prepareFloat64();
        if (transfers.storeAllowed()) {
          processor.store(linear, 8, bits);
        }
        transfers.finishStore(operation == 3);
        return true;
      }
      case 4 -> {
        checkPending();
        environment.restore(linear, operand32);
      }
      case 6 -> environment.save(linear, operand32);
      case 7 -> processor.store(linear, 2, unit.statusWord());
      default -> throw processor.invalidOpcode();
    }
    return false;
  }

  private void memoryDF(int operation, long linear) {
    switch (operation) {
      case 0 -> {
        checkPending();
        transfers.loadInteger((short) processor.load(linear, 2));
      }
      case 1, 2, 3 -> storeInteger(linear, 2, operation);
      case 4 -> {
        checkPending();
        long low = processor.load(linear, 8);
        transfers.loadPacked(low, (int) processor.load(linear + 8, 2));
      }
      case 5 -> {
        checkPending();
        transfers.loadInteger(processor.load(linear, 8));
      }
      case 6 -> {
        checkPending();
        transfers.preparePacked();
        storeTen(linear);
      }
      default -> storeInteger(linear, 8, 3);
    }
  }

  // ---- register forms ----

  private boolean register(int opcode, int modrm) {
    int index = modrm & 7;
    int operation = modrm >>> 3 & 7;
    switch (opcode) {
      case 0xD8 -> {
        checkPending();
        if ((operation & ~1) == X87Arithmetic.COMPARE) {
          arithmetic.compare(index, false, operation & 1);
        } else {
          arithmetic.registers(operation, index, 0, false);
        }
      }
      case 0xD9 -> registerD9(operation, index);
      case 0xDA -> registerDA(operation, index);
      case 0xDB -> {
        return registerDB(operation, index);
      }
      case 0xDC -> {
        checkPending();
        if ((operation & ~1) == X87Arithmetic.COMPARE) {
          arithmetic.compare(index, false, operation & 1);
        } else {
          arithmetic.registers(operation, index, index, false);
        }
      }
      case 0xDD -> registerDD(operation, index);
      case 0xDE -> registerDE(operation, index);
      case 0xDF -> {
        return registerDF(operation, index);
      }
      default -> throw processor.invalidOpcode();
    }
    return true;
  }

  private void registerD9(int operation, int index) {
    boolean defined =
        switch (operation) {
          case 2 -> index == 0;
          case 4 -> index == 0 || index == 1 || index == 4 || index == 5;
          case 5 -> index != 7;
          default -> true;
        };
    if (!defined) {
      throw processor.invalidOpcode();
    }
    checkPending();
    switch (operation) {
      case 0 -> transfers.loadRegister(index);
      case 1 -> transfers.exchange(index);
      case 2 -> {
        // FNOP, which all the same waited.
      }
      case 3 -> transfers.storeRegisterUnchecked(index);
      case 4 -> {
        switch (index) {
          case 0 -> arithmetic.changeSign();
          case 1 -> arithmetic.absolute();
          case 4 -> arithmetic.test();
          default -> arithmetic.examine();
        }
      }
      case 5 -> transcendentals.constant(index);
      case 6 -> {
        switch (index) {
          case 0 -> transcendentals.exponential();
          case 1 -> transcendentals.logarithm();
          case 2 -> transcendentals.tangent();
          case 3 -> transcendentals.arctangent();
          case 4 -> arithmetic.extract();
          case 5 -> arithmetic.remainder(true);
          case 6 -> unit.rotate(-1);
          default -> unit.rotate(1);
        }
      }
      default -> {
        switch (index) {
          case 0 -> arithmetic.remainder(false);
          case 1 -> transcendentals.logarithmPlusOne();
          case 2 -> arithmetic.squareRoot();
          case 3 -> transcendentals.sineAndCosine();
          case 4 -> arithmetic.roundToInteger();
          case 5 -> arithmetic.scale();
          case 6 -> transcendentals.sine();
          default -> transcendentals.cosine();
        }
      }
    }
  }

  private void registerDA(int operation, int index) {
    if (operation > 3 && (operation != 5 || index != 1)) {
      throw processor.invalidOpcode();
    }
    checkPending();
    if (operation == 5) {
      arithmetic.compare(1, true, 2);
    } else {
      transfers.moveIf(condition(operation), index);
    }
  }

  /** B, E, BE and U. */
  private boolean condition(int number) {
    int flags = state.arithmeticFlags();
    return switch (number) {
      case 0 -> (flags & CpuState.CF) != 0;
      case 1 -> (flags & CpuState.ZF) != 0;
      case 2 -> (flags & (CpuState.CF | CpuState.ZF)) != 0;
      default -> (flags & CpuState.PF) != 0;
    };
  }

  private boolean registerDB(int operation, int index) {
    switch (operation) {
      case 0, 1, 2, 3 -> {
        checkPending();
        transfers.moveIf(!condition(operation), index);
      }
      case 4 -> {
        switch (index) {
          case 0, 1, 4 -> {
            // FNENI, FNDISI and FNSETPM of the 8087 and 80287 do nothing.
          }
          case 2 -> unit.clearExceptions();
          case 3 -> unit.initialize();
          default -> throw processor.invalidOpcode();
        }
        return false;
      }
      case 5, 6 -> {
        checkPending();
        arithmetic.compareToFlags(index, operation == 5, false);
      }
      default -> throw processor.invalidOpcode();
    }
    return true;
  }

  private void registerDD(int operation, int index) {
    if (operation > 5) {
      throw processor.invalidOpcode();
    }
    checkPending();
    switch (operation) {
      case 0 -> unit.free(index);
      case 1 -> transfers.exchange(index);
      case 2, 3 -> transfers.storeRegister(index, operation == 3);
      default -> arithmetic.compare(index, true, operation & 1);
    }
  }

  private void registerDE(int operation, int index) {
    if (operation == 3 && index != 1) {
      throw processor.invalidOpcode();
    }
    checkPending();
    switch (operation) {
      case 2 -> arithmetic.compare(index, false, 1);
      case 3 -> arithmetic.compare(1, false, 2);
      default -> arithmetic.registers(operation, index, index, true);
    }
  }

  private boolean registerDF(int operation, int index) {
    if (operation == 7 || (operation == 4 && index != 0)) {
      throw processor.invalidOpcode();
    }
    if (operation == 4) {
      processor.general[CpuState.RAX] =
          (processor.general[CpuState.RAX] & ~0xFFFFL) | unit.statusWord();
      return false;
    }
    checkPending();
    switch (operation) {
      case 0 -> unit.freeAndPop(index);
      case 1 -> transfers.exchange(index);
      case 2, 3 -> transfers.storeRegister(index, true);
      default -> arithmetic.compareToFlags(index, operation == 5, true);
    }
    return true;
  }
}
