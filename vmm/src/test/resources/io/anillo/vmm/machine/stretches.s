# Accesses that lie a known distance apart, of which translated code looks up the first one alone: they meet the border of
# two pages that are not neighbours in memory, at every place, and pages that are absent or must not be written; each
# fault has to come from its own instruction, with everything before it done once.
# Ends through the debug-exit port: 0x21 when all results were right, otherwise the number of what was not.
#   as -I . --64 stretches.s -o stretches.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary stretches.o -o stretches.bin
        .include "start.inc"
        .globl _start
        .set TABLES, 0x10000            # PML4, PDPT, PD and PT, a page each
        .set FIRST, 0x400000            # two pages
        .set SECOND, 0x402000
        .set SEEN, 0x40000000           # where they are neighbours
        .set BORDER, SEEN + 0x1000
        .set ENTRY, TABLES + 0x3000     # by this, and the next
        .set IDT, 0x20000
        .set FAULTS, 0x30000            # count, address, error code, instruction
        .set REPAIR, 0x30020            # what the second page's entry becomes then
        .code32
_start: jmp begin
        multiboot
        descriptors
idtr:   .word 0xFFF
        .quad IDT
begin:  cli
        map_memory_and_table
        movl $FIRST + 3, ENTRY
        movl $SECOND + 3, ENTRY + 8
        enter_long_mode 0x18, main
        .code64
main:   data_segments
        mov $0x300000, %esp
        mov %cr0, %rax
        or $0x10000, %eax               # the kernel's writes are checked too
        mov %rax, %cr0
        page_fault_gate fault

        # 1: a function's frame, its saved registers and its variables at every place around the border.
        mov $1, %ebx
        mov $2000, %r15d
1:      mov $BORDER - 128, %r14d
2:      mov %rsp, %r13
        mov %r14, %rsp
        mov $0x1111, %r8d
        mov $0x2222, %r9d
        mov %r15d, %r10d
        mov %r14, %r11
        call frame
        cmp %r14, %rsp
        mov %r13, %rsp
        jne fail
        cmp $0x1111, %r8d
        jne fail
        cmp $0x2222, %r9d
        jne fail
        cmp %r15d, %r10d
        jne fail
        cmp %r14, %r11
        jne fail
        lea 0x3333(%r15, %r14), %rcx
        cmp %rcx, %rax
        jne fail
        add $8, %r14
        cmp $BORDER + 128, %r14
        jne 2b
        dec %r15d
        jnz 1b

        # 2: members of a structure at every place around the border, read and written, through copies of the pointer.
        mov $2, %ebx
        mov $1000, %r15d
3:      mov $BORDER - 40, %r14d
4:      mov %r14, %rdi
        mov %r15, (%rdi)
        mov %rdi, %rsi
        movl $7, 8(%rsi)
        lea 16(%rsi), %rdx
        movw $5, -4(%rdx)
        movb $3, -2(%rdx)
        add $16, %rdi
        mov %r14, (%rdi)
        addl $1, -8(%rdi)
        mov (%rsi), %rax
        cmp %r15, %rax
        jne fail
        movslq 8(%rsi), %rax
        movzwl 12(%rsi), %ecx
        add %rcx, %rax
        movzbl -2(%rdx), %ecx
        add %rcx, %rax
        cmp $16, %rax
        jne fail
        cmp %r14, (%rdx)
        jne fail
        inc %r14
        cmp $BORDER + 8, %r14
        jne 4b
        dec %r15d
        jnz 3b

        # 3: the second page is absent: the instruction that reaches it faults, not one before, and all before are done.
        movq $SECOND + 3, REPAIR
        movq $0, FAULTS
        xor %r13d, %r13d
        xor %r12d, %r12d
5:      movq $0, ENTRY + 8
        invlpg BORDER
        mov $BORDER - 16, %edi
        add $3, %r13
        mov %r13, (%rdi)
        incl 8(%rdi)
third:  mov %r12, 16(%rdi)
        add $1, %r12
        mov %r12, 24(%rdi)
        mov $3, %ebx
        cmpq $BORDER, FAULTS + 8
        jne fail
        cmpq $2, FAULTS + 16
        jne fail
        cmpq $third, FAULTS + 24
        jne fail
        cmp %r13, SEEN + 0xFF0
        jne fail
        cmp %r12, FAULTS
        jne fail
        cmp %r12, SECOND + 8
        jne fail
        cmp $20000, %r12
        jne 5b
        mov $4, %ebx
        cmp $60000, %r13
        jne fail

        # 5: the second page must not be written: it is read before that, and the first is written.
        movq $0, FAULTS
        movq $1234, SECOND
        xor %r12d, %r12d
6:      movq $SECOND + 1, ENTRY + 8
        invlpg BORDER
        mov $BORDER - 8, %edi
        mov %r12, (%rdi)
        mov 8(%rdi), %rax
        inc %r12
fifth:  mov %r12, 16(%rdi)
        mov $5, %ebx
        cmp $1234, %rax
        jne fail
        cmpq $BORDER + 8, FAULTS + 8
        jne fail
        cmpq $3, FAULTS + 16
        jne fail
        cmpq $fifth, FAULTS + 24
        jne fail
        cmp %r12, FAULTS
        jne fail
        cmp %r12, SECOND + 8
        jne fail
        cmp $20000, %r12
        jne 6b

        # 6: what lies between the accesses moves the pointer, by a number from memory or by an exchange.
        mov $6, %ebx
        mov $100000, %r15d
        movq $8, SEEN + 0x800
        movq $100, SEEN + 0x808
        movq $1000, SEEN + 0x810
7:      mov $SEEN + 0x800, %edi
        mov $SEEN + 0x810, %esi
        mov (%rdi), %rax
        add (%rdi), %rdi
        add (%rdi), %rax
        xchg %rdi, %rsi
        add (%rdi), %rax
        sub $8, %rdi
        add (%rdi), %rax
        cmp $1208, %rax
        jne fail
        dec %r15d
        jnz 7b
        mov $0x21, %ebx
fail:   mov %ebx, %eax
        out %al, $0xF4
        hlt

        # rax: r8 + r9 + r10 + r11, by way of the stack.
        .balign 64
frame:  push %r8
        push %r9
        push %r10
        push %r11
        sub $40, %rsp
        mov %r8, (%rsp)
        mov %r9, 8(%rsp)
        mov %r10, 24(%rsp)
        mov %r11, 32(%rsp)
        xor %r8d, %r8d
        xor %r9d, %r9d
        xor %r10d, %r10d
        xor %r11d, %r11d
        mov (%rsp), %rax
        add 8(%rsp), %rax
        add 24(%rsp), %rax
        add 32(%rsp), %rax
        add $40, %rsp
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        ret

        .balign 64
fault:  push %rax
        incq FAULTS
        mov %cr2, %rax
        mov %rax, FAULTS + 8
        mov 8(%rsp), %rax
        mov %rax, FAULTS + 16
        mov 16(%rsp), %rax
        mov %rax, FAULTS + 24
        mov REPAIR, %rax
        mov %rax, ENTRY + 8
        invlpg BORDER
        pop %rax
        add $8, %rsp
        iretq
        .balign 16
end:
