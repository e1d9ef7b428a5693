# Code that is written while it is hot: functions written over each other, an instruction of a loop changed by the
# loop itself, a jump turned round by a caller, a page of code copied elsewhere again and again.
# Ends through the debug-exit port: 0x21 when all results were right, otherwise the number of what was not.
#   as -I . --64 rewrite.s -o rewrite.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary rewrite.o -o rewrite.bin
        .include "start.inc"
        .globl _start
        .set TABLES, 0x10000
        .set PAGE, 0x400000             # where functions are written
        .set COPIES, 0x500000           # 256 pages of them
        .code32
_start: jmp begin
        multiboot
        descriptors
begin:  cli
        mov $TABLES, %edi
        xor %eax, %eax
        mov $0x800, %ecx
        rep stosl
        movl $TABLES + 0x1003, TABLES
        movl $0x00000083, TABLES + 0x1000
        enter_long_mode 0x18, main
        .code64
main:   data_segments
        mov $0x300000, %esp

        # 1: "mov $n, %eax; ret", written and called, each so often that it is hot before it is overwritten.
        mov $PAGE, %rdi
        xor %r12d, %r12d                # n
        xor %r13d, %r13d                # the sum
1:      movb $0xB8, (%rdi)
        mov %r12d, 1(%rdi)
        movb $0xC3, 5(%rdi)
        mov $700, %ebp
2:      call *%rdi
        add %rax, %r13
        dec %ebp
        jnz 2b
        inc %r12d
        cmp $200, %r12d
        jne 1b
        cmp $700 * 19900, %r13
        mov $1, %ebx
        jne fail

        # 2: a loop that changes the immediate of its own addition in every 5000th turn.
        xor %eax, %eax
        mov $50000, %ecx
        movb $1, addend + 2
3:      cmpb $0, (%rdi)                 # some other access
addend: add $1, %eax
        dec %ecx
        jz 4f
        mov %ecx, %r8d
        push %rax
        mov %ecx, %eax
        xor %edx, %edx
        mov $5000, %r9d
        div %r9d
        pop %rax
        test %edx, %edx
        jnz 3b
        incb addend + 2
        jmp 3b
        # 5000 turns each with 1, 2, ... 10, the first of which has one turn more than the last.
4:      cmp $275000, %eax
        mov $2, %ebx
        jne fail

        # 3: a branch of a hot function turned round by its caller (as kernels switch static keys).
        xor %r12d, %r12d
        xor %r13d, %r13d
5:      mov $3000, %ebp
6:      call keyed
        add %rax, %r13
        dec %ebp
        jnz 6b
        xorb $0xEB ^ 0x66, key          # jmp +... or a two-byte NOP
        xorb $(8f - 7f) ^ 0x90, key + 1
        inc %r12d
        cmp $40, %r12d
        jne 5b
        cmp $3000 * 20 * 1 + 3000 * 20 * 100, %r13
        mov $3, %ebx
        jne fail

        # 4: a page of functions copied to 256 places, changed, and run in each: code without end.
        xor %r13d, %r13d
        mov $6, %r14d
9:      mov $COPIES, %rdi
        xor %r12d, %r12d
10:     mov %rdi, %r15
        lea template(%rip), %rsi
        mov $template_end - template, %ecx
        rep movsb
        lea (%r12, %r14), %eax
        mov %eax, value - template(%r15)
        mov $300, %ebp
11:     call *%r15
        add %rax, %r13
        dec %ebp
        jnz 11b
        lea 0x1000(%r15), %rdi
        inc %r12d
        cmp $256, %r12d
        jne 10b
        dec %r14d
        jnz 9b
        # The sum of i + k, for i below 256 and k from 1 to 6, 300 times, each doubled.
        mov $2 * 300 * (6 * 32640 + 21 * 256), %rax
        cmp %rax, %r13
        mov $4, %ebx
        jne fail
        mov $0x21, %ebx
fail:   mov %ebx, %eax
        out %al, $0xF4
        hlt

        .balign 64
keyed:  mov $1, %eax
key:    .byte 0x66, 0x90
7:      ret
        .balign 8
8:      mov $100, %eax
        ret

        .balign 64
template:
        .byte 0xB8                      # mov $n, %eax
        .set value, .
        .long 0
        mov $10, %edx
12:     add $1, %eax
        dec %edx
        jnz 12b
        sub $10, %eax
        add %eax, %eax
        ret
template_end:
end:
