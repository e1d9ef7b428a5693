# Loops whose accesses mostly lie in the page of the one before, which translated code then does not look up again: they
# walk, with every size and from every offset, over pages that are neighbours nowhere but in the page tables; meet pages
# that are absent, must not be written, hold code or are mapped elsewhere meanwhile. Each access has to be its own.
# Ends through the debug-exit port: 0x21 when all results were right, otherwise the number of what was not.
#   as -I . --64 pages.s -o pages.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary pages.o -o pages.bin
        .include "start.inc"
        .globl _start
        .set TABLES, 0x10000            # PML4, PDPT, PD and PT, a page each
        .set IDT, 0x20000
        .set FAULTS, 0x30000            # count, address, error code, instruction
        .set REPAIR, 0x30020            # what the faulting page's entry becomes then
        .set FRAMES, 0x400000           # every second page, backwards
        .set SEEN, 0x40000000           # where 16 pages are neighbours
        .set FROM, SEEN
        .set TO, SEEN + 0x8000
        .set ENTRIES, TABLES + 0x3000   # by these
        .set LENGTH, 0x3000             # of what is copied
        .code32
_start: jmp begin
        multiboot
        descriptors
idtr:   .word 0xFFF
        .quad IDT
begin:  cli
        map_memory_and_table
        mov $ENTRIES, %edi
        mov $FRAMES + 30 * 0x1000 + 3, %eax
        mov $16, %ecx
1:      mov %eax, (%edi)
        sub $0x2000, %eax
        add $8, %edi
        loop 1b
        enter_long_mode 0x18, main
        .code64
main:   data_segments
        mov $0x300000, %esp
        mov %cr0, %rax
        or $0x10000, %eax               # the kernel's writes are checked too
        and $~4, %eax
        mov %rax, %cr0
        mov %cr4, %rax
        or $0x200, %eax                 # SSE
        mov %rax, %cr4
        page_fault_gate fault

        # 1: copies with every size, from and to every offset in 16 bytes.
        .macro copy load, store, register, step
        mov %r12, %rsi
        mov %r13, %rdi
        lea LENGTH(%r12), %r14
9:      \load (%rsi), \register
        \store \register, (%rdi)
        add $\step, %rdi
        lea \step(%rsi), %rsi
        cmp %r14, %rsi
        jb 9b
        call compare
        .endm
        mov $1, %ebx
        mov $8, %ebp                    # how often
        mov $12345, %r15d
2:      mov $FROM, %r12d
3:      lea TO - FROM(%r12), %r13
        xor $5, %r13
        call fill
        copy mov, mov, %al, 1
        call fill
        copy mov, mov, %ax, 2
        call fill
        copy mov, mov, %eax, 4
        call fill
        copy mov, mov, %rax, 8
        call fill
        copy movdqu, movdqu, %xmm1, 16
        call fill
        copy movq, movq, %xmm1, 8
        inc %r12
        cmp $FROM + 16, %r12
        jne 3b
        dec %ebp
        jnz 2b

        # 2: read, changed and written in place, down and up, with an index and without.
        mov $2, %ebx
        mov $400, %ebp
4:      mov $FROM, %r12d
        call fill
        mov $FROM, %esi
        xor %ecx, %ecx
5:      mov (%rsi,%rcx,8), %rax
        addq $3, (%rsi,%rcx,8)
        sub %rax, (%rsi,%rcx,8)
        inc %ecx
        cmp $LENGTH / 8, %ecx
        jne 5b
        mov $FROM + LENGTH, %esi
        xor %edx, %edx
6:      sub $8, %rsi
        add (%rsi), %rdx
        cmp $FROM, %rsi
        jne 6b
        cmp $LENGTH / 8 * 3, %rdx
        jne fail
        dec %ebp
        jnz 4b

        # 3: a page that must not be written, read before: the write faults, once, and what was read is right.
        mov $3, %ebx
        movq $0, FAULTS
        xor %r12d, %r12d
7:      movq $FRAMES + 28 * 0x1000 + 1, ENTRIES + 8
        movq $FRAMES + 28 * 0x1000 + 3, REPAIR
        invlpg SEEN + 0x1000
        mov $SEEN + 0xE00, %edi
        xor %edx, %edx
8:      add (%rdi), %rdx
        sub (%rdi), %rdx
        add %r12, %rdx
third:  mov %rdx, (%rdi)
        add $8, %rdi
        cmp $SEEN + 0x1200, %rdi
        jne 8b
        inc %r12
        cmp %r12, FAULTS
        jne fail
        cmpq $SEEN + 0x1000, FAULTS + 8
        jne fail
        cmpq $3, FAULTS + 16
        jne fail
        cmpq $third, FAULTS + 24
        jne fail
        lea -1(%r12), %rax
        imul $128, %rax, %rax
        cmp %rax, SEEN + 0x11F8
        jne fail
        cmp $3000, %r12
        jne 7b

        # 4: an absent page, reached by accesses that lie in two pages.
        mov $4, %ebx
        movq $0, FAULTS
        xor %r12d, %r12d
1:      movq $0, ENTRIES + 8
        invlpg SEEN + 0x1000
        mov $SEEN + 0xE03, %edi
        xor %edx, %edx
2:      inc %rdx
fourth: mov %rdx, (%rdi)
        add $8, %rdi
        cmp $SEEN + 0x1203, %rdi
        jne 2b
        inc %r12
        cmp %r12, FAULTS
        jne fail
        cmpq $SEEN + 0x1000, FAULTS + 8
        jne fail
        cmpq $2, FAULTS + 16
        jne fail
        cmpq $fourth, FAULTS + 24
        jne fail
        cmpq $128, SEEN + 0x11FB
        jne fail
        cmpq $64, SEEN + 0xFFB
        jne fail
        cmp $3000, %r12
        jne 1b

        # 5: a page that is mapped elsewhere while a loop goes through it.
        mov $5, %ebx
        mov $0x1111, %eax
        mov %rax, FRAMES + 30 * 0x1000 + 0x100
        mov $0x2222, %eax
        mov %rax, FRAMES + 29 * 0x1000 + 0x100
        movq $0, FRAMES + 30 * 0x1000 + 0x108
        movq $0, FRAMES + 29 * 0x1000 + 0x108
        mov $30000, %r12d
        xor %edx, %edx
        mov $SEEN + 0x100, %edi
3:      add (%rdi), %rdx
        add %r12, 8(%rdi)
        call remap
        add (%rdi), %rdx
        dec %r12
        jnz 3b
        cmp $30000 * 0x3333, %rdx
        jne fail
        mov FRAMES + 30 * 0x1000 + 0x108, %rax
        sub FRAMES + 29 * 0x1000 + 0x108, %rax
        cmp $15000, %rax
        jne fail

        # 6: functions written one behind the other, each called at once.
        mov $6, %ebx
        mov $40, %r12d
4:      mov $SEEN + 0x2E00, %edi
        xor %r14d, %r14d
        xor %edx, %edx
5:      movb $0xB8, (%rdi)              # mov $r12, %eax; ret
        mov %r12d, 1(%rdi)
        movb $0xC3, 5(%rdi)
        call *%rdi
        add %rax, %rdx
        add $8, %rdi
        cmp $SEEN + 0x3200, %rdi
        jne 5b
        mov %r12d, %eax
        shl $7, %rax
        cmp %rax, %rdx
        jne fail
        dec %r12d
        jnz 4b

        # 7: a stack that is pushed and popped over the borders of pages.
        mov $7, %ebx
        mov $300, %r12d
6:      mov %rsp, %r13
        mov $TO + 0x3000, %esp
        mov $1200, %ecx
7:      push %rcx
        dec %ecx
        jnz 7b
        xor %edx, %edx
8:      pop %rax
        add %rax, %rdx
        inc %ecx
        cmp $1200, %ecx
        jne 8b
        mov %r13, %rsp
        cmp $1200 * 1201 / 2, %rdx
        jne fail
        dec %r12d
        jnz 6b

        # 8: a page that is mapped elsewhere between two loops, by what is called in a page not seen before.
        mov $8, %ebx
        mov $8000, %r12d
        xor %edx, %edx
1:      mov $SEEN + 0x100, %edi
        mov $16, %ecx
2:      add (%rdi), %rdx
        dec %ecx
        jnz 2b
        test $1, %r12b
        jz 3f
        call elsewhere
3:      dec %r12d
        jnz 1b
        cmp $4000 * 16 * 0x3333, %rdx
        jne fail
        mov $0x21, %ebx
fail:   mov %ebx, %eax
        out %al, $0xF4
        hlt

        .balign 64
remap:  xorq $(FRAMES + 30 * 0x1000) ^ (FRAMES + 29 * 0x1000), ENTRIES
        invlpg SEEN
        ret

        # New contents from r12 on, 32 bytes more than are copied, by way of the frames; r15 is their seed.
        .balign 64
fill:   mov %r12, %rdx
        and $~0xFFF, %edx
        sub $FROM, %edx
        neg %edx
        lea FRAMES + 30 * 0x1000(%rdx,%rdx), %rdi
        mov $4, %eax
1:      mov $512, %ecx
2:      imul $0x10DCD, %r15, %r15
        inc %r15
        mov %r15, (%rdi)
        add $8, %rdi
        dec %ecx
        jnz 2b
        sub $0x3000, %rdi
        dec %eax
        jnz 1b
        ret

        # What is at r13 is to be what is at r12.
        .balign 64
compare:
        mov %r12, %rsi
        mov %r13, %rdi
        mov $LENGTH, %ecx
        cld
        repe cmpsb
        jne fail
        ret

        .balign 64
fault:  push %rax
        push %rcx
        incq FAULTS
        mov %cr2, %rax
        mov %rax, FAULTS + 8
        mov 16(%rsp), %rcx
        mov %rcx, FAULTS + 16
        mov 24(%rsp), %rcx
        mov %rcx, FAULTS + 24
        mov REPAIR, %rcx
        mov %rcx, ENTRIES + 8
        invlpg (%rax)
        pop %rcx
        pop %rax
        add $8, %rsp
        iretq
        .balign 4096
elsewhere:
        call remap
        ret
        .balign 16
end:
