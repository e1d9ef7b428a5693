# System calls from ring 3, again and again, until translated code knows the way into the kernel and back by heart; and
# then the kernel comes back elsewhere, with other code mapped there, with a trap pending, without the SSE unit, or with
# an address that is none. And interrupts that arrive where they are disabled, which STI holds off for an instruction.
# Ends through the debug-exit port: 0x21 when all results were right, otherwise the number of what was not.
#   as -I . --64 systemcalls.s -o systemcalls.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary systemcalls.o -o systemcalls.bin
        .include "start.inc"
        .globl _start
        .set TABLES, 0x10000
        .set IDT, 0x3000
        .set TSS, 0x4000
        .set OWN, 0x5000                # what the kernel has at GS: a count of calls, the user's stack
        .set DATA, 0x200000
        .set KERNEL_STACK, 0x90000
        .set USER_STACK, 0x280000
        .set FIRST, 0x400000            # pages with a function each
        .set SECOND, 0x401000
        .set SEEN, 0x40000000           # where one of them is mapped
        .set ENTRY, TABLES + 0x5000     # by this
        .set CALLS, 160000
        .set NOWHERE, 0x800000000000
        .code32
_start: jmp begin
        multiboot
        # 8: code of ring 0; 16: data; 32: data of ring 3; 40: code of ring 3; 48: TSS
        .balign 8
gdt:    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0
        .quad 0x00CFF3000000FFFF, 0x00AFFB000000FFFF
        .quad 0x0000890040000067, 0
gdtr:   .word 63
        .long gdt
idtr:   .word 0xFFF
        .quad IDT
one:    .double 1
begin:  cli
        map_memory_and_devices 7
        movl $TABLES + 0x4007, TABLES + 0x1008
        movl $TABLES + 0x5007, TABLES + 0x4000
        movl $FIRST + 7, ENTRY
        enter_long_mode 8, long, 0x101
        .code64
long:   mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $KERNEL_STACK, %rsp
        movq $KERNEL_STACK, TSS + 4
        mov $48, %eax
        ltr %ax
        mov $IDT + 0x40 * 16, %edi
        mov $tick, %eax
        call gate
        mov $IDT + 1 * 16, %edi
        mov $trapped, %eax
        call gate
        mov $IDT + 7 * 16, %edi
        mov $unavailable, %eax
        call gate
        mov $IDT + 13 * 16, %edi
        mov $protection, %eax
        call gate
        lidt idtr
        mov $0xC0000081, %ecx           # STAR
        mov $0x00180008, %edx
        xor %eax, %eax
        wrmsr
        mov $0xC0000082, %ecx           # LSTAR
        mov $kernel, %eax
        xor %edx, %edx
        wrmsr
        mov $0xC0000084, %ecx           # SFMASK: IF and TF
        mov $0x300, %eax
        wrmsr
        mov $0xC0000102, %ecx           # KERNEL_GS_BASE
        mov $OWN, %eax
        wrmsr
        mov $0xFF, %al
        out %al, $0x21
        # Local APIC: on, periodic timer, vector 0x40.
        mov $0xFEE00000, %esi
        movl $0x1FF, 0xF0(%rsi)
        movl $0xB, 0x3E0(%rsi)
        movl $0x20040, 0x320(%rsi)
        movl $100000, 0x380(%rsi)
        pushq $0x23
        pushq $USER_STACK
        pushq $0x202
        pushq $0x2B
        pushq $user
        iretq
gate:   mov %ax, (%rdi)
        movw $8, 2(%rdi)
        movw $0x8E00, 4(%rdi)
        shr $16, %eax
        mov %ax, 6(%rdi)
        movq $0, 8(%rdi)
        ret

        # What SYSCALL leaves in RCX and R11 is looked at, too.
        .macro system number
        mov $\number, %eax
        syscall
        .endm

        .balign 4096
        # 0: a call that computes something, from a function.
user:   xor %r13d, %r13d
        mov $CALLS, %ebp
1:      mov %rbp, %rdi
        call compute
        add %rax, %r13
        dec %ebp
        jnz 1b
        mov $1, %edi
        mov $CALLS * (CALLS + 1) / 2 * 3 + CALLS, %rax
        cmp %rax, %r13
        jne fail

        # 1: the kernel comes back behind an instruction, every 16th time.
        xor %r13d, %r13d
        mov $CALLS, %ebp
2:      system 1
        add $3, %r13                    # skipped
        add $1, %r13
        dec %ebp
        jnz 2b
        mov $2, %edi
        cmp $CALLS * 4 - CALLS / 16 * 3, %r13
        jne fail

        # 2: there is other code behind the call when the kernel comes back, every 1000th time.
        movl $0xB8, FIRST               # mov $2, %eax; syscall; add $1, %r13; ret
        movl $2, FIRST + 1
        movl $0x4990050F, FIRST + 5
        movl $0xC301C583, FIRST + 9
        movl $0xB8, SECOND              # the same with 100
        movl $2, SECOND + 1
        movl $0x4990050F, SECOND + 5
        movl $0xC364C583, SECOND + 9
        xor %r13d, %r13d
        mov $CALLS, %ebp
3:      mov $SEEN, %r14d
        call *%r14
        dec %ebp
        jnz 3b
        mov $3, %edi
        cmp $CALLS / 2 * 101, %r13
        jne fail

        # 3: a trap behind the first instruction, every 16th time.
        xor %r13d, %r13d
        mov $CALLS, %ebp
4:      system 3
        add $1, %r13
stepped:
        dec %ebp
        jnz 4b
        mov $4, %edi
        cmp $CALLS, %r13
        jne fail
        cmpl $CALLS / 16, traps
        jne fail

        # 4: an address that is not canonical, every 16th time: ring 3 cannot fetch from there.
        xor %r13d, %r13d
        mov $CALLS, %ebp
5:      system 4
resume: add $1, %r13
        dec %ebp
        jnz 5b
        mov $5, %edi
        cmp $CALLS, %r13
        jne fail
        cmpl $CALLS / 16, protections
        jne fail

        # 5: without the SSE unit, every 16th time.
        movsd one, %xmm1
        xorps %xmm0, %xmm0
        mov $CALLS, %ebp
6:      system 5
        addsd %xmm1, %xmm0
        dec %ebp
        jnz 6b
        mov $6, %edi
        cvttsd2si %xmm0, %rax
        cmp $CALLS, %rax
        jne fail
        cmpl $CALLS / 16, unavailables
        jne fail

        # 6: STI in the kernel, before an instruction and before one that is not in the TLB.
        mov $20, %ebp
7:      system 6
        dec %ebp
        jnz 7b
        mov $7, %edi
        cmpl $20 * 1000, DATA
        jne fail
        cmpl $0, early
        jne fail
        # A fast processor can be here before the first tick.
8:      pause
        cmpl $0, ticks
        je 8b
        mov $0x21, %edi
fail:   system 7

        .balign 64
compute:
        system 0
        ret

        .balign 4096
kernel: swapgs
        mov %rsp, %gs:8
        mov $KERNEL_STACK, %rsp
        push %rcx
        push %r11
        incl %gs:0
        call *calls(, %rax, 8)
        cli
        pop %r11
        pop %rcx
        mov %gs:8, %rsp
        swapgs
        sysretq

        .balign 8
calls:  .quad triple, skip, remap, step, lose, disable, hold, end_of_test

        # Sets ZF every 16th time.
        .macro sixteenth
        testl $15, %gs:0
        .endm

triple: sti
        lea 1(%rdi, %rdi, 2), %rax
        cli
        ret
skip:   sixteenth
        jnz 1f
        addq $4, 16(%rsp)
1:      ret
remap:  mov %gs:0, %eax
        xor %edx, %edx
        mov $1000, %ecx
        div %ecx
        test %edx, %edx
        jnz 1f
        xorl $FIRST ^ SECOND, ENTRY
        invlpg SEEN
1:      ret
step:   sixteenth
        jnz 1f
        orq $0x100, 8(%rsp)
1:      ret
lose:   sixteenth
        jnz 1f
        mov $NOWHERE, %rax
        mov %rax, 16(%rsp)
        andq $~0x200, 8(%rsp)           # an interrupt could not return there
1:      ret
disable:
        sixteenth
        jnz 1f
        mov %cr0, %rax
        or $8, %eax
        mov %rax, %cr0
1:      ret
hold:   mov $1000, %ecx
1:      cli
        nop
        sti
held:   inc %rax
        cli
        invlpg DATA
        sti
held_too:
        incl DATA
        cli
        dec %ecx
        jnz 1b
        ret
end_of_test:
        mov %edi, %eax
        out %al, $0xF4
        hlt

tick:   incl ticks
        cmpq $held, (%rsp)
        je 1f
        cmpq $held_too, (%rsp)
        jne 2f
1:      incl early
2:      push %rax
        mov $0xFEE00000, %eax
        movl $0, 0xB0(%rax)
        pop %rax
        iretq
trapped:
        cmpq $stepped, (%rsp)
        jne 1f
        cmpq $0x2B, 8(%rsp)
        jne 1f
        incl traps
1:      andq $~0x100, 16(%rsp)
        iretq
protection:
        push %rax
        mov $NOWHERE, %rax
        cmp %rax, 16(%rsp)
        jne 1f
        cmpq $0x2B, 24(%rsp)
        jne 1f
        incl protections
1:      movq $resume, 16(%rsp)
        orq $0x200, 32(%rsp)
        pop %rax
        add $8, %rsp
        iretq
unavailable:
        clts
        incl unavailables
        iretq
        .balign 64
ticks:  .long 0
early:  .long 0
traps:  .long 0
protections: .long 0
unavailables: .long 0
end:
