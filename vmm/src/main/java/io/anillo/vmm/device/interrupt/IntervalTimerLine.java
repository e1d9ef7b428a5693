package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.device.CountedLine;

/** The interval timer's interrupt: input 0 of the 8259As and input 2 of the I/O APIC. */
public final class IntervalTimerLine implements CountedLine {
  private static final int PIC_INPUT = 0, IO_APIC_INPUT = 2;

  private final PicPair pic;
  private final IoApic ioApic;

  public IntervalTimerLine(PicPair pic, IoApic ioApic) {
    this.pic = pic;
    this.ioApic = ioApic;
  }

  @Override
  public void set(boolean asserted) {
    pic.line(PIC_INPUT).set(asserted);
    ioApic.line(IO_APIC_INPUT).set(asserted);
  }

  @Override
  public boolean open() {
    return ioApic.sendsEdges(IO_APIC_INPUT) || pic.unmasked(PIC_INPUT);
  }

  @Override
  public boolean waiting() {
    return ioApic.edgeWaits(IO_APIC_INPUT) || pic.unmasked(PIC_INPUT) && pic.requested(PIC_INPUT);
  }

  @Override
  public void onTaken(Runnable listener) {
    pic.onTaken(PIC_INPUT, listener);
    ioApic.onEdgeTaken(IO_APIC_INPUT, listener);
  }
}
