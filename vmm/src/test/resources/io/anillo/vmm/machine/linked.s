# Code that leads into other code again and again, until translated code knows the way by heart; and then the way
# becomes another: the page of a called function is mapped to other code, a called function comes back elsewhere or not
# at all, calls nest deeper than any limit.
# Ends through the debug-exit port: 0x21 when all results were right, otherwise the number of what was not.
#   as -I . --64 linked.s -o linked.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary linked.o -o linked.bin
        .include "start.inc"
        .globl _start
        .set TABLES, 0x10000            # PML4, PDPT, PD and PT, a page each
        .set FIRST, 0x400000            # pages with a function each
        .set SECOND, 0x401000
        .set SEEN, 0x40000000           # where one of them is mapped
        .set ENTRY, TABLES + 0x3000     # by this
        .code32
_start: jmp begin
        multiboot
        descriptors
begin:  cli
        map_memory_and_table
        movl $FIRST + 3, ENTRY
        enter_long_mode 0x18, main
        .code64
main:   data_segments
        mov $0x300000, %esp

        # 1: the page of a function that is called is mapped to another one, so often that it is hot each time.
        movl $0xC301C083, FIRST         # add $1, %eax; ret
        movl $0xC364C083, SECOND        # add $100, %eax; ret
        xor %r12d, %r12d
        xor %r13d, %r13d
1:      mov $3000, %ebp
2:      xor %eax, %eax
        call SEEN
        add %rax, %r13
        dec %ebp
        jnz 2b
        xorl $FIRST ^ SECOND, ENTRY
        invlpg SEEN
        inc %r12d
        cmp $40, %r12d
        jne 1b
        mov $1, %ebx
        cmp $3000 * 20 * 101, %r13
        jne fail

        # 2: as 1, but the translation goes with all others.
        xor %r12d, %r12d
        xor %r13d, %r13d
3:      mov $3000, %ebp
4:      xor %eax, %eax
        call SEEN
        add %rax, %r13
        dec %ebp
        jnz 4b
        xorl $FIRST ^ SECOND, ENTRY
        mov %cr3, %rax
        mov %rax, %cr3
        inc %r12d
        cmp $40, %r12d
        jne 3b
        mov $2, %ebx
        cmp $3000 * 20 * 101, %r13
        jne fail

        # 3: every 16th time, the called function comes back behind an instruction.
        xor %r13d, %r13d
        mov $100000, %ebp
5:      call skipping
        add $3, %r13                    # skipped every 16th time
        add $1, %r13
        dec %ebp
        jnz 5b
        mov $3, %ebx
        cmp $100000 * 4 - 100000 / 16 * 3, %r13
        jne fail

        # 4: every 16th time, the called function goes where it wants, and its caller's caller is met again.
        xor %r13d, %r13d
        mov $100000, %ebp
6:      call outer
        add $1, %r13
back:   dec %ebp
        jnz 6b
        mov $4, %ebx
        cmp $100000 - 100000 / 16, %r13
        jne fail

        # 5: calls inside calls, 300 deep: the sum of 1 to 300, and again.
        xor %r13d, %r13d
        mov $2000, %ebp
7:      mov $300, %edi
        call sum
        add %rax, %r13
        dec %ebp
        jnz 7b
        mov $5, %ebx
        cmp $2000 * 45150, %r13
        jne fail

        # 6: three pieces of code in pages of their own that lead into each other.
        xor %r13d, %r13d
        mov $1000000, %ebp
        jmp ring1
round:  mov $6, %ebx
        cmp $3000000, %r13
        jne fail

        # 7: a function called through a register that changes every 1000 calls.
        xor %r13d, %r13d
        mov $200000, %ebp
        lea one(%rip), %r14
        lea two(%rip), %r15
        mov $1000, %r12d
8:      call *%r14
        add %rax, %r13
        dec %r12d
        jnz 9f
        mov $1000, %r12d
        xchg %r14, %r15
9:      dec %ebp
        jnz 8b
        mov $7, %ebx
        cmp $100000 * 3, %r13
        jne fail

        # 8: a jump through a register that changes every 1000 times, to the beginnings of two pages.
        xor %r13d, %r13d
        mov $200000, %ebp
        lea three(%rip), %r14
        lea four(%rip), %r15
        mov $1000, %r12d
13:     call stub
        add %rax, %r13
        dec %r12d
        jnz 14f
        mov $1000, %r12d
        xchg %r14, %r15
14:     dec %ebp
        jnz 13b
        mov $8, %ebx
        cmp $100000 * 7, %r13
        jne fail

        # 9: as 1, but the function is called through a register.
        xor %r12d, %r12d
        xor %r13d, %r13d
        mov $SEEN, %r14d
15:     mov $3000, %ebp
16:     xor %eax, %eax
        call *%r14
        add %rax, %r13
        dec %ebp
        jnz 16b
        xorl $FIRST ^ SECOND, ENTRY
        invlpg SEEN
        inc %r12d
        cmp $40, %r12d
        jne 15b
        mov $9, %ebx
        cmp $3000 * 20 * 101, %r13
        jne fail

        # 10: what is called does what only the interpreter does, inside and at its end, and comes back all the same.
        xor %r13d, %r13d
        mov $200000, %ebp
17:     call flags
        add %rax, %r13
        dec %ebp
        jnz 17b
        mov $10, %ebx
        cmp $200000 * 5, %r13
        jne fail

        # 11: what a function calls maps another one to that function's page every 1000th time, and comes back to it.
        movb $0xE8, FIRST + 0x100       # call turn; add $1, %eax; ret
        movb $0xE8, SECOND + 0x100      # call turn; add $100, %eax; ret
        lea turn(%rip), %rax
        sub $SEEN + 0x105, %eax
        mov %eax, FIRST + 0x101
        mov %eax, SECOND + 0x101
        movl $0xC301C083, FIRST + 0x105
        movl $0xC364C083, SECOND + 0x105
        mov $1, %r15d                   # what is mapped adds this
        mov $1000, %r12d
        mov $200000, %ebp
        mov $11, %ebx
18:     xor %eax, %eax
        call SEEN + 0x100
        cmp %r15d, %eax
        jne fail
        dec %ebp
        jnz 18b
        mov $0x21, %ebx
fail:   mov %ebx, %eax
        out %al, $0xF4
        hlt

        .balign 64
skipping:
        test $15, %bpl
        jnz 10f
        addq $4, (%rsp)
10:     ret

        .balign 64
outer:  call inner
        ret
        .balign 64
inner:  test $15, %bpl
        jnz 11f
        add $16, %rsp
        jmp back
11:     ret

        .balign 64
sum:    push %rdi
        xor %eax, %eax
        dec %edi
        jz 12f
        call sum
12:     pop %rdi
        add %rdi, %rax
        ret

        .balign 64
one:    mov $1, %eax
        ret
        .balign 64
two:    mov $2, %eax
        ret
        .balign 64
stub:   jmp *%r14
        .balign 64
flags:  call deeper
        pushf
        cli
        inc %eax
        popf
        ret
        .balign 64
deeper: mov $3, %eax
        cli
        inc %eax
        ret

        .balign 64
turn:   dec %r12d
        jnz 19f
        mov $1000, %r12d
        xor $1 ^ 100, %r15d
        xorl $FIRST ^ SECOND, ENTRY
        invlpg SEEN
19:     ret

        .balign 4096
three:  mov $3, %eax
        ret
        .balign 4096
four:   mov $4, %eax
        ret

        .balign 4096
ring1:  inc %r13
        jmp ring2
        .balign 4096
ring2:  inc %r13
        jmp ring3
        .balign 4096
ring3:  inc %r13
        dec %ebp
        jnz ring1
        jmp round
