# A checksum computed in ring 3 and ring 0 of 64-bit mode: a program with SSE and x87 that calls the kernel by UD2,
# (hosts whose KVM has no hardware underneath get SYSCALL and INT wrong), timer interrupts that come and go and must not change it. Ends through the debug-exit port with 0x21.
# The 16 bytes at 0x100040 are: steps done, checksum, timer ticks, result.
#   as -I . --64 rings.s -o rings.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary rings.o -o rings.bin
        .include "start.inc"
        .code32
        .globl _start
        .set TABLES, 0x10000
        .set IDT, 0x3000
        .set TSS, 0x4000
        .set DATA, 0x200000
        .set KERNEL_STACK, 0x90000
        .set USER_STACK, 0x280000
        .set STEPS, 3000
        .set INNER, 200
_start: jmp begin
        multiboot
        .org 0x40
steps:  .long 0
sum:    .long 0
ticks:  .long 0
result: .long 0
        # 8: code of ring 0; 16: data; 32: data of ring 3; 40: code of ring 3; 48: TSS
        .balign 8
gdt:    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0
        .quad 0x00CFF3000000FFFF, 0x00AFFB000000FFFF
        .quad 0x0000890040000067, 0
gdtr:   .word 63
        .long gdt
idtr:   .word 0xFFF
        .quad IDT
scale:  .double 1.0000001
begin:  cli
        # The first and the fourth GiB one to one, for both rings.
        map_memory_and_devices 7
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
        # Two gates: the timer's, and the one for ring 3.
        mov $IDT + 0x40 * 16, %edi
        mov $tick, %eax
        mov $0x8E00, %edx
        call gate
        mov $IDT + 6 * 16, %edi
        mov $call, %eax
        call gate
        lidt idtr
        mov $0xFF, %al
        out %al, $0x21
        # Local APIC: on, periodic timer, vector 0x40.
        mov $0xFEE00000, %esi
        movl $0x1FF, 0xF0(%rsi)
        movl $0xB, 0x3E0(%rsi)
        movl $0x20040, 0x320(%rsi)
        movl $100000, 0x380(%rsi)
        # To ring 3.
        pushq $0x23
        pushq $USER_STACK
        pushq $0x202
        pushq $0x2B
        pushq $user
        iretq
gate:   mov %ax, (%rdi)
        movw $8, 2(%rdi)
        mov %dx, 4(%rdi)
        shr $16, %eax
        mov %ax, 6(%rdi)
        movq $0, 8(%rdi)
        ret

user:   fninit
        fldl scale
        fld1
        movsd scale, %xmm0
        movsd scale, %xmm1
        mov $1, %ebx
        xor %r12, %r12
again:  mov $INNER, %ecx
2:      mov %rbx, %rax
        shl $13, %rax
        xor %rax, %rbx
        mov %rbx, %rax
        shr $7, %rax
        xor %rax, %rbx
        mov %rbx, %rax
        shl $17, %rax
        xor %rax, %rbx
        xor %rbx, DATA(, %rcx, 8)
        adc %rbx, %r12
        push %rbx
        popq DATA + 0x2000(, %rcx, 8)
        loop 2b
        fmul %st(1), %st
        mulsd %xmm0, %xmm1
        mov %rbx, %rdi
        ud2
        xor %rax, %rbx
        add $1, %rbx
        incl steps
        cmpl $STEPS, steps
        jb again
        # A fast processor can be here before the first tick.
7:      pause
        cmpl $0, ticks
        je 7b
        fstpl DATA
        movsd %xmm1, DATA + 8
        mov %r12, DATA + 16
        xor %eax, %eax
        mov $0x2000, %ecx
        mov $DATA, %esi
3:      imul $31, %eax, %eax
        add (%rsi), %eax
        add $4, %rsi
        loop 3b
        mov %eax, sum
        movl $1, result
        mov $-1, %rdi
        ud2
4:      jmp 4b

        # The kernel: mixes what it is given; -1 ends.
call:   cmp $-1, %rdi
        je done
        mov %rdi, %rax
        mov $20, %edx
5:      imul $0x01000193, %rax, %rax
        xor %rdx, %rax
        dec %edx
        jnz 5b
        addq $2, (%rsp)
        iretq
done:   mov $0x21, %al
        mov $0xF4, %edx
        out %al, %dx
6:      hlt
        jmp 6b
tick:   incl ticks
        push %rax
        mov $0xFEE00000, %eax
        movl $0, 0xB0(%rax)
        pop %rax
        iretq
end:
