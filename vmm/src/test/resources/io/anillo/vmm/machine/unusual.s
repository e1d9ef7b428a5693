# Arithmetic with denormal numbers, zeros, infinities and NaNs, long enough for code to be made that leaves for them, to be
# given up, and to be made again so that it calculates with them itself.
# Ends through the debug-exit port: 0x21 when results, flags and exceptions were what a processor has, otherwise 1.
#   as -I . --64 unusual.s -o unusual.o && ld -m elf_x86_64 -Ttext 0x100000 --oformat binary unusual.o -o unusual.bin
        .include "start.inc"
        .globl _start
        .set TABLES, 0x10000
        .set ROUNDS, 60
        .set HASH, 0xcbd3391bbe811fa9   # of a real processor running the code from "calculate"
        .code32
_start: jmp begin
        multiboot
        descriptors
begin:  cli
        map_memory_and_devices 3
        enter_long_mode 0x18, main
        .code64
main:   data_segments
        mov $0x300000, %esp
        call calculate
        mov $HASH, %rdx
        cmp %rdx, %rax
        mov $0x21, %eax
        je 1f
        mov $1, %eax
1:      out %al, $0xF4
        hlt

        .macro note register
        rol $7, %r12
        xor \register, %r12
        imul %r13, %r12
        .endm
        .macro operate operation
        movapd %xmm0, %xmm2
        \operation %xmm1, %xmm2
        movq %xmm2, %rax
        note %rax
        .endm

        # Every operation with every pair of values; the hash of all results in RAX.
calculate:
        push %rbx
        push %r12
        push %r13
        push %r14
        push %r15
        sub $16, %rsp
        mov $0xcbf29ce484222325, %r12
        mov $0x100000001b3, %r13
        mov $ROUNDS, %ebx
        lea values(%rip), %r8
again:  xor %r14d, %r14d
first:  xor %r15d, %r15d
second: movl $0x1FA0, (%rsp)            # all exceptions masked, inexact results noted already
        ldmxcsr (%rsp)
        movsd (%r8, %r14, 8), %xmm0
        movsd (%r8, %r15, 8), %xmm1
        operate addsd
        operate subsd
        operate mulsd
        operate divsd
        operate sqrtsd
        operate addsd                   # of something that is settled
        addsd %xmm2, %xmm2
        movq %xmm2, %rax
        note %rax
        xor %eax, %eax
        ucomisd %xmm1, %xmm0
        lahf
        note %rax
        xor %eax, %eax
        comisd %xmm2, %xmm0
        lahf
        note %rax
        cvttsd2si %xmm0, %eax
        note %rax
        cvttsd2si %xmm0, %rax
        note %rax
        movq %xmm0, %rax
        cvtsi2sd %rax, %xmm2
        movq %xmm2, %rax
        note %rax
        unpcklpd %xmm1, %xmm0
        unpcklpd %xmm1, %xmm1
        movapd %xmm0, %xmm2
        addpd %xmm1, %xmm2
        mulpd %xmm0, %xmm2
        movq %xmm2, %rax
        note %rax
        unpckhpd %xmm2, %xmm2
        movq %xmm2, %rax
        note %rax
        stmxcsr (%rsp)
        mov (%rsp), %eax
        note %rax
        inc %r15d
        cmp $VALUES, %r15d
        jb second
        inc %r14d
        cmp $VALUES, %r14d
        jb first
        dec %ebx
        jnz again
        mov %r12, %rax
        add $16, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbx
        ret

        .balign 8
values: .quad 0x3FF0000000000000, 0xC004000000000000                    # 1, -2.5
        .quad 0, 0x8000000000000000, 0x7FF0000000000000, 0xFFF0000000000000
        .quad 0x7FF8000000000001, 0xFFF4000000000002                    # NaNs, a quiet one and one that signals
        .quad 0x0010000000000000, 0x800FFFFFFFFFFFFF, 1                 # the least normal number, denormal ones
        .quad 0x7FEFFFFFFFFFFFFF, 0x2000000000000000, 0x41EFFFFFFFE00000 # the greatest, a small one, 2^32 - 1
        .set VALUES, (. - values) / 8
end:
