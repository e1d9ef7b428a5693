# Four processors and what they may rely on: start-up by INIT and SIPI, LOCKed counters (aligned, across 8 bytes,
# across a page, 16 bytes), XCHG spin locks, message passing and Dekker's rule, patched code, TLB shootdowns.
# Ends through the debug-exit port: 0x21 when all held, otherwise the number of what did not.
#   as -I . --64 litmus.s -o litmus.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary litmus.o -o litmus.bin
        .include "start.inc"
        .globl _start
        .set CPUS, 4
        .set ROUNDS, 3000
        .set APIC, 0xFEE00000
        .set TABLES, 0x10000
        .set WINDOW, 0x40000000         # linear; its page table is at TABLES + 0x3000
        .set PAGE_A, 0x400000
        .set PAGE_B, 0x401000
        .code32
_start: jmp begin
        multiboot
        descriptors
idtr:   .word 0xFFF
        .quad 0x3000
begin:  cli
        # Page tables: 1 GiB pages one to one, but the second GiB through a table of 4 KiB pages.
        mov $TABLES, %edi
        xor %eax, %eax
        mov $0x1000, %ecx
        rep stosl
        movl $TABLES + 0x1003, TABLES
        movl $0x00000083, TABLES + 0x1000
        movl $TABLES + 0x2003, TABLES + 0x1008
        movl $0x80000083, TABLES + 0x1010
        movl $0xC0000083, TABLES + 0x1018
        movl $TABLES + 0x3003, TABLES + 0x2000
        # The start-up code of the others, below 1 MiB.
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
        lock xadd %ebx, started         # rbx: this processor's number
        mov %rbx, %rax
        inc %rax
        shl $14, %rax
        lea 0x200000(%rax), %rsp
        mov $APIC, %r15d
        movl $0x1FF, 0xF0(%r15)
        test %ebx, %ebx
        jnz 2f
        # Processor 0: handlers, then wake the others up.
        mov $0x3000, %edi
        mov $256, %ecx
1:      mov $failed_by_exception, %eax
        call gate
        loop 1b
        mov $0x3000 + 0x40 * 16, %edi
        mov $shootdown, %eax
        call gate
        lidt idtr
        movl $0xC4500, 0x300(%r15)
        movl $0xC4608, 0x300(%r15)
        movl $0xC4608, 0x300(%r15)
        jmp 3f
2:      lidt idtr
3:      sti
        call meet

        # 1: counters.
        mov $ROUNDS, %ecx
1:      lock incl counter
        lock addq $1, across8
        lock addq $1, across_page
        lock incw across8_word
        lock xaddl %eax, dummy
        mov lock16, %rax
        mov lock16 + 8, %rdx
2:      lea 1(%rax), %r8
        lea 3(%rdx), %r9
        push %rbx
        push %rcx
        mov %r8, %rbx
        mov %r9, %rcx
        lock cmpxchg16b lock16
        pop %rcx
        pop %rbx
        jnz 2b
        # A spin lock, and a counter that only it protects.
3:      mov $1, %eax
        xchg %eax, spin
        test %eax, %eax
        jz 4f
        pause
        jmp 3b
4:      incl guarded
        movl $0, spin
        dec %ecx
        jnz 1b
        call meet
        mov $1, %edi
        cmpl $CPUS * ROUNDS, counter
        jne failed
        mov $2, %edi
        cmpq $CPUS * ROUNDS, across8
        jne failed
        mov $3, %edi
        cmpq $CPUS * ROUNDS, across_page
        jne failed
        mov $4, %edi
        cmpw $CPUS * ROUNDS, across8_word
        jne failed
        mov $5, %edi
        cmpq $CPUS * ROUNDS, lock16
        jne failed
        cmpq $3 * CPUS * ROUNDS, lock16 + 8
        jne failed
        mov $6, %edi
        cmpl $CPUS * ROUNDS, guarded
        jne failed
        call meet

        # 2: message passing: who sees the flag sees the datum. Processor 0 writes, the others read.
        mov $7, %edi
        test %ebx, %ebx
        jnz 2f
        mov $1, %eax
1:      mov %eax, datum
        mov %eax, flag
        inc %eax
        cmp $20 * ROUNDS, %eax
        jbe 1b
        jmp 3f
2:      mov flag, %eax
        mov datum, %edx
        cmp %eax, %edx
        jb failed
        cmp $20 * ROUNDS, %eax
        jb 2b
3:      call meet

        # 3: Dekker's rule between 0 and 1: with fences not both read the old value.
        mov $8, %edi
        mov $1, %ecx
1:      cmp $2, %ebx
        jae 2f
        mov %ecx, dekker(, %rbx, 8)
        mfence
        mov %ebx, %edx
        xor $1, %edx
        mov dekker(, %rdx, 8), %eax
        mov %eax, dekker_read(, %rbx, 8)
2:      call meet
        cmp %ecx, dekker_read
        je 3f
        cmp %ecx, dekker_read + 8
        jne failed
3:      call meet
        inc %ecx
        cmp $ROUNDS / 10, %ecx
        jbe 1b

        # 4: code patched by processor 0, run by all behind a serializing instruction.
        mov $9, %edi
        mov $1, %esi
1:      test %ebx, %ebx
        jnz 2f
        mov %esi, patched + 1
2:      call meet
        push %rbx
        xor %eax, %eax
        cpuid
        pop %rbx
        call patched
        cmp %esi, %eax
        jne failed
        call meet
        inc %esi
        cmp $ROUNDS / 10, %esi
        jbe 1b

        # 5: shootdowns. The window shows the page of this round; the other page is poison once all have let go.
        mov $10, %edi
        test %ebx, %ebx
        jnz 5f
        mov $1, %ecx
1:      mov %ecx, %eax
        and $1, %eax
        shl $12, %eax
        add $PAGE_A, %eax
        mov %ecx, (%rax)
        or $3, %eax
        mov %rax, TABLES + 0x3000
        invlpg WINDOW
        movl $0, acknowledged
        movl $0xC4040, 0x300(%r15)
2:      pause
        cmpl $CPUS - 1, acknowledged
        jne 2b
        mov %ecx, shown
        mov %ecx, %eax
        inc %eax
        and $1, %eax
        shl $12, %eax
        movl $0, PAGE_A(%rax)
        mov $50, %eax
3:      pause
        dec %eax
        jnz 3b
        inc %ecx
        cmp $ROUNDS / 5, %ecx
        jbe 1b
        movl $-1, shown
        jmp 6f
5:      cmpl $0, shown
        je 5b
7:      mov shown, %esi
        cmp $-1, %esi
        je 6f
        mov WINDOW, %eax
        cmp %esi, %eax
        jb failed
        jmp 7b
6:      call meet
        test %ebx, %ebx
        jnz 8f
        mov $0x21, %edi
failed: mov %edi, %eax
        mov $0xF4, %edx
        out %al, %dx
8:      hlt
        jmp 8b
failed_by_exception:
        mov $0x7F, %edi
        jmp failed

shootdown:
        invlpg WINDOW
        lock incl acknowledged
        movl $0, 0xB0(%r15)
        iretq

# All wait for all.
meet:   push %rax
        push %rcx
        mov meetings(%rip), %ecx
        mov $1, %eax
        lock xadd %eax, arrived
        cmp $CPUS - 1, %eax
        jne 1f
        movl $0, arrived
        lock incl meetings
        jmp 2f
1:      pause
        cmp %ecx, meetings
        je 1b
2:      pop %rcx
        pop %rax
        ret
gate:   mov %ax, (%rdi)
        movw $0x18, 2(%rdi)
        movw $0x8E00, 4(%rdi)
        shr $16, %eax
        mov %eax, 6(%rdi)
        movl $0, 10(%rdi)
        add $16, %edi
        ret

        .balign 64
patched:
        mov $0, %eax
        ret
        .balign 64
started: .long 0
arrived: .long 0
meetings: .long 0
spin:   .long 0
guarded: .long 0
counter: .long 0
dummy:  .long 0
datum:  .long 0
        .balign 64
flag:   .long 0
generation: .long 0
acknowledged: .long 0
shown:  .long 0
        .balign 64
dekker: .quad 0, 0
dekker_read: .quad 0, 0
lock16: .quad 0, 0
        .balign 64
        .skip 5
across8: .quad 0
        .balign 64
        .skip 7
across8_word: .word 0
        .balign 4096
        .skip 4093
across_page: .quad 0
end:
