# What "anillo techniques" runs: six loops, chosen by the first character of the command line, in 64-bit mode. Each does
# what it says an exactly known number of times, which the command line gives behind that character in decimal, and ends
# through the debug-exit port with 0x21.
#   c  compute: 8 instructions a round, in ring 3
#   p  privileged instructions: CPUID, RDMSR of the page attribute table and a read of CR3 a round, in ring 0
#   s  system calls: SYSCALL and SYSRET a round, from ring 3
#   g  page tables: an entry changed, INVLPG, and a store through it a round, in ring 0
#   d  device I/O: OUT to and IN from the scratch register of the second serial line a round, in ring 0
#   D  the same by an aware guest: bytes into memory, a hypercall for every 64 of them, in ring 0
#   x  context switches: registers saved and loaded, and CR3 loaded, a round, between two address spaces, in ring 0
#   as --64 workloads.s -o workloads.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary workloads.o -o workloads.bin
        .code32
        .globl _start
        .set TABLES, 0x10000
        .set SECOND, 0x20000
        .set STACK, 0x90000
        .set USER_STACK, 0x98000
        .set WINDOW, 0x40000000         # linear; its page table is at TABLES + 0x5000
_start: jmp begin
        .balign 4
header: .long 0x1BADB002, 0x10000, -(0x1BADB002 + 0x10000)
        .long header, 0x100000, 0, end, _start
        # 8: code of ring 0; 16: data; 32: data of ring 3; 40: code of ring 3
        .balign 8
gdt:    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0
        .quad 0x00CFF3000000FFFF, 0x00AFFB000000FFFF
gdtr:   .word 47
        .long gdt
which:  .long 0
begin:  cli
        cld
        # The command line: multiboot information, offset 16.
        mov 16(%ebx), %esi
        # A multiboot loader puts the kernel's name before it: the last word counts.
        xor %edi, %edi
1:      lodsb
        test %al, %al
        jz 2f
        cmp $' ', %al
        jne 1b
        mov %esi, %edi
        jmp 1b
2:      test %edi, %edi
        jnz 3f
        mov 16(%ebx), %edi
3:      mov %edi, %esi
        xor %eax, %eax
        lodsb
        mov %eax, which
        xor %ebp, %ebp
4:      xor %eax, %eax
        lodsb
        sub $'0', %eax
        jb 5f
        cmp $9, %eax
        ja 5f
        imul $10, %ebp, %ebp
        add %eax, %ebp
        jmp 4b
5:      mov $TABLES, %edi
        xor %eax, %eax
        mov $0x1800, %ecx
        rep stosl
        # The first GiB one to one by pages of 2 MiB, for both rings; a window of pages of 4 KiB behind it.
        movl $TABLES + 0x1007, TABLES
        movl $TABLES + 0x2007, TABLES + 0x1000
        movl $TABLES + 0x4007, TABLES + 0x1008
        movl $TABLES + 0x5007, TABLES + 0x4000
        mov $512, %ecx
        mov $0x87, %eax
        mov $TABLES + 0x2000, %edi
6:      mov %eax, (%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 6b
        # The second address space shares all tables but the first.
        mov $SECOND, %edi
        mov $0x400, %ecx
        xor %eax, %eax
        rep stosl
        movl $TABLES + 0x1007, SECOND
        lgdt gdtr
        mov $0x6A0, %eax
        mov %eax, %cr4
        mov $TABLES, %eax
        mov %eax, %cr3
        mov $0xC0000080, %ecx
        mov $0x101, %eax
        xor %edx, %edx
        wrmsr
        mov $0x80000013, %eax
        mov %eax, %cr0
        ljmp $8, $long
        .code64
long:   mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $STACK, %esp
        mov $0xC0000081, %ecx
        xor %eax, %eax
        mov $0x00180008, %edx
        wrmsr
        mov $0xC0000082, %ecx
        mov $call, %eax
        xor %edx, %edx
        wrmsr
        mov $0xC0000084, %ecx
        mov $0x200, %eax
        wrmsr
        mov $0, %ebx
        mov which, %eax
        cmp $'c', %al
        je to_user
        cmp $'s', %al
        je to_user
        cmp $'p', %al
        je privileged
        cmp $'g', %al
        je tables
        cmp $'d', %al
        je device
        cmp $'x', %al
        je switches
        cmp $'D', %al
        je aware
        mov $0x11, %al
        jmp finish

to_user:
        mov $compute, %rcx
        mov $calls, %rdx
        cmp $'s', %al
        cmove %rdx, %rcx
        # Ring 3 may use ports, so that it can end without a call.
        mov $0x3002, %r11d
        mov $USER_STACK, %esp
        sysretq

        # Ring 3: 8 instructions a round.
        .balign 64
compute:
        mov %ebp, %edi
        mov $1, %rbx
1:      mov %rbx, %rax
        shl $13, %rax
        xor %rax, %rbx
        mov %rbx, %rax
        shr $7, %rax
        xor %rax, %rbx
        dec %edi
        jnz 1b
        jmp done

        .balign 64
calls:  mov %ebp, %r12d
1:      xor %edi, %edi
        syscall
        dec %r12d
        jnz 1b
        mov $1, %edi
        syscall

        # The kernel: 0 returns, 1 ends.
        .balign 64
call:   test %edi, %edi
        jnz done
        incl count
        sysretq

        .balign 64
privileged:
        xor %eax, %eax
        cpuid
        mov $0x277, %ecx
        rdmsr
        mov %cr3, %rax
        dec %ebp
        jnz privileged
        jmp done

        .balign 64
tables: mov $WINDOW, %esi
        mov $TABLES + 0x5000, %edi
        mov $0x300007, %eax
1:      xor $0x1000, %eax
        mov %rax, (%rdi)
        invlpg (%rsi)
        mov %ebp, (%rsi)
        dec %ebp
        jnz 1b
        jmp done

        .balign 64
device: mov $0x2FF, %edx
1:      mov %ebp, %eax
        out %al, %dx
        in %dx, %al
        dec %ebp
        jnz 1b
        jmp done

        # What a scheduler's switch does, back and forth.
        .balign 64
switches:
        mov $TABLES, %r8d
        mov $SECOND, %r9d
1:      push %rbx
        push %r12
        push %r13
        push %r14
        push %r15
        xchg %r8, %r9
        mov %r8, %cr3
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbx
        dec %ebp
        jnz 1b
        jmp done

        # An aware guest's output: bytes into memory, and a call for every 64.
        .balign 64
aware:  mov $0x300000, %edi
1:      mov %ebp, %eax
        mov %al, (%rdi)
        mov (%rdi), %al
        inc %edi
        test $63, %edi
        jnz 2f
        mov $0x414E0000, %eax
        vmmcall
        mov $0x300000, %edi
2:      dec %ebp
        jnz 1b
        jmp done

done:   mov $0x21, %al
finish: mov $0xF4, %edx
        out %al, %dx
1:      hlt
        jmp 1b
        .balign 8
count:  .long 0, 0
end:
