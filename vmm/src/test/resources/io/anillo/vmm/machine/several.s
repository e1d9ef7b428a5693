# Four processors: start-up by INIT and SIPI, LOCKed counters, a spin lock, interrupts between them. Small and slow
# enough on instructions for hosts whose KVM emulates kernel code. Ends through the debug-exit port: 0x21 when all held.
#   as -I . --64 several.s -o several.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary several.o -o several.bin
        .include "start.inc"
        .globl _start
        .set CPUS, 4
        .set ROUNDS, 2000
        .set APIC, 0xFEE00000
        .set TABLES, 0x10000
        .set IDT, 0x3000
        .code32
_start: jmp begin
        multiboot
        .balign 8
        descriptors
idtr:   .word 0xFFF
        .quad IDT
begin:  cli
        map_memory_and_devices 3
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
        mov $1, %ebx
        lock xadd %ebx, started
        mov %rbx, %rax
        inc %rax
        shl $14, %rax
        lea 0x200000(%rax), %rsp
        mov $APIC, %r15d
        movl $0x1FF, 0xF0(%r15)
        test %ebx, %ebx
        jnz 2f
        mov $IDT + 0x40 * 16, %edi
        mov $called, %eax
        mov %ax, (%rdi)
        movw $0x18, 2(%rdi)
        movw $0x8E00, 4(%rdi)
        shr $16, %eax
        mov %ax, 6(%rdi)
        movq $0, 8(%rdi)
        lidt idtr
        movl $0xC4500, 0x300(%r15)
        movl $0xC4608, 0x300(%r15)
        jmp 3f
2:      lidt idtr
3:      sti
        # Counters: one LOCKed, one under a spin lock.
        mov $ROUNDS, %ecx
4:      lock incl counter
        mov $1, %eax
5:      xchg %eax, spin
        test %eax, %eax
        jz 6f
        pause
        jmp 5b
6:      incl guarded
        movl $0, spin
        loop 4b
        # All have counted.
        lock incl finished
7:      pause
        cmpl $CPUS, finished
        jne 7b
        # Processor 0 calls the others, who wait in HLT, and waits for their answers.
        test %ebx, %ebx
        jnz wait
        movl $0xC4040, 0x300(%r15)
8:      pause
        cmpl $CPUS - 1, answers
        jne 8b
        mov $1, %eax
        cmpl $CPUS * ROUNDS, counter
        jne 9f
        inc %eax
        cmpl $CPUS * ROUNDS, guarded
        jne 9f
        mov $0x21, %eax
9:      mov $0xF4, %edx
        out %al, %dx
wait:   hlt
        jmp wait
called: lock incl answers
        movl $0, 0xB0(%r15)
        iretq
        .balign 64
started: .long 0
counter: .long 0
spin:   .long 0
guarded: .long 0
finished: .long 0
answers: .long 0
end:
