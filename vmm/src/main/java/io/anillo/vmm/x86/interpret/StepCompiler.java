package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.GuestFault;

/** Decoded instructions to steps: which family makes which. */
final class StepCompiler {
  private StepCompiler() {}

  static Step compile(Operands operands) {
    Operation operation = operands.instruction().operation();
    return switch (operation) {
      case ADD -> ArithmeticSteps.binary(operands, Arithmetic.ADD);
      case OR -> ArithmeticSteps.binary(operands, Arithmetic.OR);
      case ADC -> ArithmeticSteps.binary(operands, Arithmetic.ADC);
      case SBB -> ArithmeticSteps.binary(operands, Arithmetic.SBB);
      case AND -> ArithmeticSteps.binary(operands, Arithmetic.AND);
      case SUB -> ArithmeticSteps.binary(operands, Arithmetic.SUB);
      case XOR -> ArithmeticSteps.binary(operands, Arithmetic.XOR);
      case CMP -> ArithmeticSteps.binary(operands, Arithmetic.CMP);
      case TEST -> ArithmeticSteps.test(operands);
      case INC -> ArithmeticSteps.count(operands, true);
      case DEC -> ArithmeticSteps.count(operands, false);
      case NEG -> ArithmeticSteps.negate(operands);
      case NOT -> ArithmeticSteps.complement(operands);

      case MOV -> MoveSteps.move(operands);
      case LEA -> MoveSteps.loadAddress(operands);
      case MOVZX -> MoveSteps.zeroExtend(operands);
      case MOVSX, MOVSXD -> MoveSteps.signExtend(operands);
      case XCHG -> MoveSteps.exchange(operands);
      case BSWAP -> MoveSteps.byteSwap(operands);
      case CBW -> MoveSteps.extendAccumulator(operands);
      case CWD -> MoveSteps.signToData(operands);
      case XLAT -> MoveSteps.translate(operands);
      case MOVNTI -> MoveSteps.move(operands);
      case CMOVO,
          CMOVNO,
          CMOVB,
          CMOVAE,
          CMOVE,
          CMOVNE,
          CMOVBE,
          CMOVA,
          CMOVS,
          CMOVNS,
          CMOVP,
          CMOVNP,
          CMOVL,
          CMOVGE,
          CMOVLE,
          CMOVG ->
          MoveSteps.conditionalMove(operands, condition(operands));
      case SETO,
          SETNO,
          SETB,
          SETAE,
          SETE,
          SETNE,
          SETBE,
          SETA,
          SETS,
          SETNS,
          SETP,
          SETNP,
          SETL,
          SETGE,
          SETLE,
          SETG ->
          MoveSteps.setCondition(operands, condition(operands));
      case NOP -> new Nothing();

      case ROL -> ShiftSteps.shift(operands, ShiftSteps.Kind.ROL);
      case ROR -> ShiftSteps.shift(operands, ShiftSteps.Kind.ROR);
      case RCL -> ShiftSteps.shift(operands, ShiftSteps.Kind.RCL);
      case RCR -> ShiftSteps.shift(operands, ShiftSteps.Kind.RCR);
      case SHL -> ShiftSteps.shift(operands, ShiftSteps.Kind.SHL);
      case SHR -> ShiftSteps.shift(operands, ShiftSteps.Kind.SHR);
      case SAR -> ShiftSteps.shift(operands, ShiftSteps.Kind.SAR);
      case SHLD -> ShiftSteps.doubleShift(operands, true);
      case SHRD -> ShiftSteps.doubleShift(operands, false);

      case MUL -> MultiplySteps.multiply(operands, false);
      case IMUL1 -> MultiplySteps.multiply(operands, true);
      case IMUL2 -> MultiplySteps.multiplySigned(operands, operands.place(0), operands.place(1));
      case IMUL3 -> MultiplySteps.multiplySigned(operands, operands.place(1), operands.place(2));
      case DIV -> MultiplySteps.divide(operands, false);
      case IDIV -> MultiplySteps.divide(operands, true);

      case BT -> BitSteps.test(operands, BitSteps.Change.NONE);
      case BTS -> BitSteps.test(operands, BitSteps.Change.SET);
      case BTR -> BitSteps.test(operands, BitSteps.Change.RESET);
      case BTC -> BitSteps.test(operands, BitSteps.Change.COMPLEMENT);
      case BSF -> BitSteps.scan(operands, true);
      case BSR -> BitSteps.scan(operands, false);
      case POPCNT -> BitSteps.count(operands);

      case CMPXCHG -> AtomicSteps.compareExchange(operands);
      case XADD -> AtomicSteps.exchangeAdd(operands);
      case CMPXCHG8B -> AtomicSteps.compareExchangePair(operands);

      case DAA -> DecimalSteps.adjustPacked(false);
      case DAS -> DecimalSteps.adjustPacked(true);
      case AAA -> DecimalSteps.adjustUnpacked(false);
      case AAS -> DecimalSteps.adjustUnpacked(true);
      case AAM -> DecimalSteps.multiplyAdjust(operands);
      case AAD -> DecimalSteps.divideAdjust(operands);

      case PUSH -> StackSteps.push(operands);
      case POP -> StackSteps.pop(operands);
      case PUSH_SEGMENT -> StackSteps.pushSegment(operands);
      case POP_SEGMENT -> StackSteps.popSegment(operands);
      case PUSHA -> StackSteps.pushAll(operands);
      case POPA -> StackSteps.popAll(operands);
      case PUSHF -> StackSteps.pushFlags(operands);
      case POPF -> StackSteps.popFlags(operands);
      case ENTER -> StackSteps.enter(operands);
      case LEAVE -> StackSteps.leave(operands);

      case JO, JNO, JB, JAE, JE, JNE, JBE, JA, JS, JNS, JP, JNP, JL, JGE, JLE, JG ->
          BranchSteps.conditional(operands, condition(operands));
      case JMP -> BranchSteps.jump(operands);
      case CALL -> BranchSteps.call(operands);
      case CALL_INDIRECT -> BranchSteps.callIndirect(operands);
      case JMP_INDIRECT -> BranchSteps.jumpIndirect(operands);
      case RET -> BranchSteps.ret(operands);
      case LOOP -> BranchSteps.loop(operands, -1);
      case LOOPE -> BranchSteps.loop(operands, 4);
      case LOOPNE -> BranchSteps.loop(operands, 5);
      case JCXZ -> BranchSteps.jumpCounterZero(operands);
      case CALL_FAR -> BranchSteps.farDirect(operands, true);
      case JMP_FAR -> BranchSteps.farDirect(operands, false);
      case CALL_FAR_INDIRECT -> BranchSteps.farIndirect(operands, true);
      case JMP_FAR_INDIRECT -> BranchSteps.farIndirect(operands, false);
      case RETF -> BranchSteps.farReturn(operands);
      case IRET -> BranchSteps.interruptReturn(operands);

      case MOVS -> StringSteps.move(operands);
      case STOS -> StringSteps.store(operands);
      case LODS -> StringSteps.load(operands);
      case SCAS -> StringSteps.scan(operands);
      case CMPS -> StringSteps.compare(operands);
      case INS -> StringSteps.input(operands);
      case OUTS -> StringSteps.output(operands);

      case CLC -> FlagSteps.carry(false);
      case STC -> FlagSteps.carry(true);
      case CMC -> FlagSteps.complementCarry();
      case CLD -> FlagSteps.direction(false);
      case STD -> FlagSteps.direction(true);
      case CLI -> FlagSteps.clearInterrupts();
      case STI -> FlagSteps.setInterrupts();
      case CLAC -> FlagSteps.alignmentCheck(false);
      case STAC -> FlagSteps.alignmentCheck(true);
      case LAHF -> FlagSteps.load();
      case SAHF -> FlagSteps.store();
      case SALC -> FlagSteps.setAccumulatorFromCarry();

      case MOV_FROM_SEGMENT -> SegmentSteps.store(operands);
      case MOV_TO_SEGMENT -> SegmentSteps.load(operands);
      case LES -> SegmentSteps.loadPointer(operands, CpuState.ES);
      case LDS -> SegmentSteps.loadPointer(operands, CpuState.DS);
      case LSS -> SegmentSteps.loadPointer(operands, CpuState.SS);
      case LFS -> SegmentSteps.loadPointer(operands, CpuState.FS);
      case LGS -> SegmentSteps.loadPointer(operands, CpuState.GS);
      case SGDT -> SegmentSteps.storeTable(operands, false);
      case SIDT -> SegmentSteps.storeTable(operands, true);
      case LGDT -> SegmentSteps.loadTable(operands, false);
      case LIDT -> SegmentSteps.loadTable(operands, true);
      case SLDT -> SegmentSteps.storeSystem(operands, CpuState.LDTR);
      case STR -> SegmentSteps.storeSystem(operands, CpuState.TR);
      case LLDT -> SegmentSteps.loadSystem(operands, CpuState.LDTR);
      case LTR -> SegmentSteps.loadSystem(operands, CpuState.TR);
      case VERR -> SegmentSteps.verify(operands, false);
      case VERW -> SegmentSteps.verify(operands, true);
      case LAR -> SegmentSteps.query(operands, false);
      case LSL -> SegmentSteps.query(operands, true);
      case ARPL -> SegmentSteps.adjustPrivilege(operands);

      case IN -> SystemSteps.input(operands);
      case OUT -> SystemSteps.output(operands);
      case HLT -> SystemSteps.halt();
      case CPUID -> SystemSteps.cpuid();
      case RDTSC -> SystemSteps.readTimeStamp(false);
      case RDTSCP -> SystemSteps.readTimeStamp(true);
      case RDPMC -> SystemSteps.readPerformanceCounter();
      case RDMSR -> SystemSteps.readMsr();
      case WRMSR -> SystemSteps.writeMsr();
      case MOV_FROM_CONTROL -> SystemSteps.fromControl(operands);
      case MOV_TO_CONTROL -> SystemSteps.toControl(operands);
      case MOV_FROM_DEBUG -> SystemSteps.fromDebug(operands);
      case MOV_TO_DEBUG -> SystemSteps.toDebug(operands);
      case LMSW -> SystemSteps.loadMachineStatus(operands);
      case SMSW -> SystemSteps.storeMachineStatus(operands);
      case CLTS -> SystemSteps.clearTaskSwitched();
      case INVLPG -> SystemSteps.invalidatePage(operands);
      case INVPCID -> SystemSteps.invalidatePcid(operands);
      case XGETBV -> SystemSteps.readExtendedControl();
      case XSETBV -> SystemSteps.writeExtendedControl();
      case INVD, WBINVD -> SystemSteps.privilegedNothing();
      case SYSCALL -> SystemSteps.systemCall(operands);
      case SYSRET -> SystemSteps.systemReturn(operands);
      case SYSENTER -> SystemSteps.systemEnter();
      case SYSEXIT -> SystemSteps.systemExit();
      case SWAPGS -> SystemSteps.swapGs();
      case INT -> SystemSteps.interrupt(operands);
      case INT3 -> SystemSteps.softwareException(operands, GuestFault.BREAKPOINT);
      case INTO -> SystemSteps.softwareException(operands, GuestFault.OVERFLOW);
      case INT1 -> SystemSteps.debugInterrupt(operands);
      case BOUND -> SystemSteps.bound(operands);
      case RDRAND, RDSEED -> SystemSteps.random(operands);
      case RDFSBASE -> SystemSteps.readBase(operands, CpuState.FS);
      case RDGSBASE -> SystemSteps.readBase(operands, CpuState.GS);
      case WRFSBASE -> SystemSteps.writeBase(operands, CpuState.FS);
      case WRGSBASE -> SystemSteps.writeBase(operands, CpuState.GS);
      case LFENCE, MFENCE, SFENCE -> new Fence();
      case CLFLUSH -> SystemSteps.flushLine(operands);
      case UD0, UD1, UD2 -> SystemSteps.undefined();
      case VMCALL, VMMCALL -> SystemSteps.hypercall();

      case X87 -> FloatingSteps.escape(operands);
      case FWAIT -> FloatingSteps.waitForUnit();
      case FXSAVE -> FloatingSteps.save(operands);
      case FXRSTOR -> FloatingSteps.restore(operands);
      case XSAVE -> FloatingSteps.extendedSave(operands);
      case XRSTOR -> FloatingSteps.extendedRestore(operands);
      case LDMXCSR -> FloatingSteps.loadMxcsr(operands);
      case STMXCSR -> FloatingSteps.storeMxcsr(operands);
      case CRC32 -> ChecksumStep.compile(operands);
      default -> SimdSteps.compile(operands);
    };
  }

  private static int condition(Operands operands) {
    return operands.instruction().opcode() & 15;
  }

  /** NOP and its long and hinting forms. */
  private static final class Nothing extends Step {
    @Override
    void run(InterpretedCpu cpu) {
      // by definition
    }
  }

  /** Orders this processor's memory accesses as the strongest fence does. */
  private static final class Fence extends Step {
    @Override
    void run(InterpretedCpu cpu) {
      java.lang.invoke.VarHandle.fullFence();
    }
  }
}
