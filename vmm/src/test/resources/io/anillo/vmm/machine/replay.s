# A guest whose memory depends on everything that enters a machine: clock, chance, interrupts and their moments,
# console input. It ends by itself after 200 timer ticks, through the debug-exit port.
#   as -I . --32 replay.s -o replay.o && ld -m elf_i386 -Ttext 0x100000 --oformat binary replay.o -o replay.bin
        .include "start.inc"
        .code32
        .globl _start
_start: jmp begin
        multiboot
gdt:    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdtr:   .word 23
        .long gdt
idtr:   .word 0x7FF
        .long 0x3000
        .set IDT, 0x3000
        .set TRACE, 0x300000
begin:  cli
        lgdt gdtr
        ljmp $8, $1f
1:      mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $0x90000, %esp
        mov $IDT, %edi
        mov $256, %ecx
2:      mov $unexpected, %eax
        call gate
        loop 2b
        mov $(IDT + 0x20 * 8), %edi
        mov $tick, %eax
        call gate
        mov $(IDT + 0x24 * 8), %edi
        mov $typed, %eax
        call gate
        lidt idtr
        # 8259s at 0x20 and 0x28, with inputs 0 and 4 open.
        mov $0x11, %al
        out %al, $0x20
        out %al, $0xA0
        mov $0x20, %al
        out %al, $0x21
        mov $0x28, %al
        out %al, $0xA1
        mov $4, %al
        out %al, $0x21
        mov $2, %al
        out %al, $0xA1
        mov $1, %al
        out %al, $0x21
        out %al, $0xA1
        mov $0xEE, %al
        out %al, $0x21
        mov $0xFF, %al
        out %al, $0xA1
        # 8254 channel 0: 1000 Hz.
        mov $0x34, %al
        out %al, $0x43
        mov $0xA9, %al
        out %al, $0x40
        mov $4, %al
        out %al, $0x40
        # COM1: interrupt at received data, OUT2 on.
        mov $0x3FA, %edx
        mov $1, %al
        out %al, %dx
        mov $0x3FC, %edx
        mov $0x0B, %al
        out %al, %dx
        mov $0x3F9, %edx
        mov $1, %al
        out %al, %dx
        mov $TRACE, %ebp
        sti
again:  mov $300, %ecx
3:      imul $1664525, %ebx, %ebx
        add $1013904223, %ebx
        mov %ebx, 0x200000(, %ecx, 4)
        loop 3b
        rdtsc
        xor %eax, %ebx
        rdrand %eax
        xor %eax, %ebx
        # Repeated instructions of many pieces: upwards over page ends, downwards, patterns, a search.
        mov $0x200123, %esi
        mov $0x210077, %edi
        mov $10001, %ecx
        rep movsb
        std
        mov $0x203FFD, %esi
        mov $0x213FFE, %edi
        mov $3000, %ecx
        rep movsl
        cld
        mov %ebx, %eax
        mov $0x220003, %edi
        mov $3000, %ecx
        rep stosl
        mov $0x220003, %edi
        mov $12000, %ecx
        not %al
        repne scasb
        add %ecx, %ebx
        incl loops
        testb $3, loops
        jnz 4f
        hlt
4:      sti
        nop
        cli
        cmpl $200, ticks
        sti
        jb again
        cli
        mov %ebx, result
        mov $0x21, %al
        mov $0xF4, %edx
        out %al, %dx
5:      hlt
        jmp 5b

gate:   mov %ax, (%edi)
        movw $8, 2(%edi)
        movw $0x8E00, 4(%edi)
        shr $16, %eax
        mov %ax, 6(%edi)
        add $8, %edi
        ret
unexpected:
        mov $0x7F, %al
        mov $0xF4, %edx
        out %al, %dx
        hlt
# Where the interrupt came, when, and with what in hand.
tick:   push %eax
        push %edx
        incl ticks
        mov 8(%esp), %eax
        mov %eax, (%ebp)
        rdtsc
        mov %eax, 4(%ebp)
        mov %ecx, 8(%ebp)
        mov loops, %eax
        mov %eax, 12(%ebp)
        add $16, %ebp
        mov $0x20, %al
        out %al, $0x20
        pop %edx
        pop %eax
        iret
typed:  push %eax
        push %edx
6:      mov $0x3FD, %edx
        in %dx, %al
        test $1, %al
        jz 7f
        mov $0x3F8, %edx
        in %dx, %al
        movzx %al, %eax
        mov %eax, (%ebp)
        mov 8(%esp), %eax
        mov %eax, 4(%ebp)
        mov %ecx, 8(%ebp)
        add $16, %ebp
        incl characters
        jmp 6b
7:      mov $0x20, %al
        out %al, $0x20
        pop %edx
        pop %eax
        iret
        .balign 4
ticks:  .long 0
loops:  .long 0
characters: .long 0
result: .long 0
end:
