# Three processors that use KVM's paravirtual calls on each other: a kick that ends a HLT with interrupts disabled, a note
# to a halted processor to flush its TLB instead of an interrupt, one call for interrupts to two, a yield, and calls that
# are refused. Where the host's kernel has the processors' HLT, which sets no mark that a processor does not run, the note
# is not left, and that processor flushes by itself. Ends through the debug-exit port: 0x21 when all held, another value for what did not.
#   as -I . --64 calls.s -o calls.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary calls.o -o calls.bin
        .include "start.inc"
        .globl _start
        .set CPUS, 3
        .set APIC, 0xFEE00000
        .set TABLES, 0x10000
        .set IDT, 0x3000
        .set VECTOR, 0x41
        .set STEAL, 0x4000              # records of 64 bytes, by processor
        .set RUNS_NOT, 1                # marks in byte 16 of such a record
        .set FLUSH, 2
        .set PROBE, 0x400000            # a page of 2 MiB, which turns into the one at MOVED
        .set MOVED, 0x600000
        .set KICK, 5
        .set PAIR, 9
        .set SEND, 10
        .set YIELD, 11
        .code32
_start: jmp begin
        multiboot
        .balign 8
        descriptors
idtr:   .word 0xFFF
        .quad IDT
begin:  cli
        map_memory_and_devices 3
        movl $0x1111, PROBE
        movl $0x2222, MOVED
        mov $STEAL, %edi
        xor %eax, %eax
        mov $CPUS * 16, %ecx
        rep stosl
        mov $startup, %esi
        mov $0x8000, %edi
        mov $startup_end - startup, %ecx
        rep movsb
long:   enter_long_mode 0x18, main
        .code16
startup:
        cli
        xor %ax, %ax
        mov %ax, %ds
        lgdtl 0x8000 + small_gdtr - startup
        mov $1, %eax
        mov %eax, %cr0
        ljmpl $8, $protected
small_gdtr:
        .word 31
        .long gdt
startup_end:
        .code32
protected:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        jmp long
        .code64
main:   data_segments
        mov $APIC, %r15d
        movl $0x1FF, 0xF0(%r15)
        mov 0x20(%r15), %r14d
        shr $24, %r14d                  # who this is
        lea 1(%r14), %rax
        shl $14, %rax
        lea 0x200000(%rax), %rsp
        # Its record of stolen time.
        mov %r14d, %eax
        shl $6, %eax
        lea STEAL + 1(%rax), %eax
        xor %edx, %edx
        mov $0x4B564D03, %ecx
        wrmsr
        test %r14d, %r14d
        jnz other
        mov $IDT + VECTOR * 16, %edi
        mov $called, %eax
        mov %ax, (%rdi)
        movw $0x18, 2(%rdi)
        movw $0x8E00, 4(%rdi)
        shr $16, %eax
        mov %ax, 6(%rdi)
        movq $0, 8(%rdi)
        movl $0xC4500, 0x300(%r15)
        movl $0xC4608, 0x300(%r15)
1:      pause
        cmpl $CPUS - 1, ready
        jne 1b
        # Processor 1 halts with a translation that is wrong from now on; it is left a note while it does not run.
        movl $MOVED + 0x83, TABLES + 0x2000 + PROBE / 0x200000 * 8
        mov $0x40000101, %eax
        cpuid
        mov %ecx, marks
        test $1, %ecx
        jz 3f
2:      pause
        mov $RUNS_NOT, %eax
        mov $RUNS_NOT + FLUSH, %ecx
        lock cmpxchg %cl, STEAL + 64 + 16
        jne 2b
3:      movl $1, kicked
        mov $KICK, %eax
        xor %ebx, %ebx
        mov $1, %ecx
        vmmcall
        mov $1, %edi
        test %rax, %rax
        jnz fail
3:      pause
        cmpl $0, seen
        je 3b
        mov $2, %edi
        cmpl $0x2222, seen
        jne fail
        # An interrupt to processors 1 and 2, and to one that is not there.
        mov $SEND, %eax
        mov $0x13, %ebx
        xor %ecx, %ecx
        mov $1, %edx
        mov $VECTOR, %esi
        vmmcall
        mov $3, %edi
        cmp $CPUS - 1, %rax
        jne fail
4:      pause
        cmpl $CPUS - 1, answers
        jne 4b
        mov $YIELD, %eax
        mov $1, %ebx
        vmmcall
        mov $4, %edi
        test %rax, %rax
        jnz fail
        # Clocks are paired, or (a host with another clock) not supported: -95.
        mov $PAIR, %eax
        mov $0x5000, %ebx
        xor %ecx, %ecx
        vmmcall
        mov $5, %edi
        test %rax, %rax
        jz 5f
        cmp $-95, %rax
        jne fail
5:      mov $77, %eax
        vmmcall
        mov $6, %edi
        cmp $-1000, %rax
        jne fail
        mov $0x21, %edi
fail:   mov %edi, %eax
        mov $0xF4, %edx
        out %al, %dx
6:      hlt
        jmp 6b
other:  lidt idtr
        mov PROBE, %eax
        lock incl ready
        cmp $1, %r14d
        jne 9f
        # Interrupts are disabled: only a kick ends this.
7:      hlt
        cmpl $0, kicked
        je 7b
        testl $1, marks
        jnz 8f
        invlpg PROBE
8:      mov PROBE, %eax
        mov %eax, seen
9:      sti
10:     hlt
        jmp 10b
called: lock incl answers
        movl $0, 0xB0(%r15)
        iretq
        .balign 64
ready:  .long 0
kicked: .long 0
marks:  .long 0
seen:   .long 0
answers: .long 0
end:
