package io.anillo.vmm.x86.execute.system;
import io.anillo.vmm.x86.execute.Processor;
final class TaskSwitch { enum Cause {JUMP,CALL,RETURN,INTERRUPT}
 static long readAvailable(Processor p,int s,int e){return 0;}
 static long readBusy(Processor p,int s){return 0;}
 static void perform(Processor processor, int tss, long target, Cause cause, long nextRip,int flags,boolean pushes,int error,int ext){}
 static void perform(Processor processor, int tss, long target, Cause cause, long nextRip){} }
