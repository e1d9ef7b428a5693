# A guest that computes a checksum while timer interrupts come and go that must not change it, and says the result.
# The 16 bytes at 0x100040 are: steps done, checksum, timer ticks, result.
#   as -I . --32 checksum.s -o checksum.o && ld -m elf_i386 -Ttext 0x100000 --oformat binary checksum.o -o checksum.bin
        .include "start.inc"
        .code32
        .globl _start
        .set IDT, 0x3000
        .set STEPS, 3000
_start: jmp begin
        multiboot
        .org 0x40
steps:  .long 0
sum:    .long 0
ticks:  .long 0
result: .long 0
gdt:    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdtr:   .word 23
        .long gdt
idtr:   .word 0x7FF
        .long IDT
scale:  .double 1.0000001
begin:  cli
        lgdt gdtr
        ljmp $8, $1f
1:      mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $0x90000, %esp
        mov $IDT + 0x40 * 8, %edi
        mov $tick, %eax
        mov %ax, (%edi)
        movw $8, 2(%edi)
        movw $0x8E00, 4(%edi)
        shr $16, %eax
        mov %ax, 6(%edi)
        lidt idtr
        mov $0xFF, %al
        out %al, $0x21
        # Local APIC: on, periodic timer, vector 0x40.
        mov $0xFEE00000, %esi
        movl $0x1FF, 0xF0(%esi)
        movl $0xB, 0x3E0(%esi)
        movl $0x20040, 0x320(%esi)
        movl $200000, 0x380(%esi)
        # SSE and x87 are part of what has to survive.
        mov %cr0, %eax
        and $~0xE, %eax
        or $2, %eax
        mov %eax, %cr0
        mov %cr4, %eax
        or $0x600, %eax
        mov %eax, %cr4
        fninit
        fldl scale
        fld1
        movsd scale, %xmm0
        movsd scale, %xmm1
        mov $1, %ebx
        sti
again:  mov $2000, %ecx
2:      mov %ebx, %eax
        shl $13, %eax
        xor %eax, %ebx
        mov %ebx, %eax
        shr $17, %eax
        xor %eax, %ebx
        mov %ebx, %eax
        shl $5, %eax
        xor %eax, %ebx
        xor %ebx, 0x200000(, %ecx, 8)
        loop 2b
        fmul %st(1), %st
        mulsd %xmm0, %xmm1
        incl steps
        cmpl $STEPS, steps
        jb again
        cli
        # Everything goes into the sum: memory, x87, SSE.
        fstpl 0x200000
        movsd %xmm1, 0x200008
        xor %eax, %eax
        mov $4096, %ecx
        mov $0x200000, %esi
3:      imul $31, %eax, %eax
        add (%esi), %eax
        add $4, %esi
        loop 3b
        mov %eax, sum
        movl $1, result
        mov $0x21, %al
        mov $0xF4, %edx
        out %al, %dx
4:      hlt
        jmp 4b
tick:   incl ticks
        push %eax
        mov $0xFEE00000, %eax
        movl $0, 0xB0(%eax)
        pop %eax
        iret
end:
