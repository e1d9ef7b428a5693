# A guest that lives on Anillo's own hypercalls alone, with no emulated device: console, clocks, waiting, a disk and a
# network through rings, exit with a status. 0x2A says that all went well; another value says what did not.
#   as -I . --32 aware.s -o aware.o && ld -m elf_i386 -Ttext 0x100000 --oformat binary aware.o -o aware.bin
        .include "start.inc"
        .code32
        .globl _start
        .set CONSOLE, 1
        .set CLOCK, 2
        .set WALL, 3
        .set YIELD, 4
        .set EXIT, 5
        .set BLOCK, 6
        .set SEND, 7
        .set RECEIVE, 8
        .set BUFFER, 0x200000
_start: jmp begin
        multiboot
        .balign 8
gdt:    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdtr:   .word 23
        .long gdt
hello:  .ascii "Hello from ring 0 by hypercall.\n"
hello_end:
        .balign 8
block:  .quad 0, 0, 0, 0, 0             # function, three arguments, result
        # Operation, status, offset, buffer, length.
ring:   .long 0, 1
        .quad 512, BUFFER
        .long 512, 0
        .long 1, 0
        .quad 1024, BUFFER
        .long 512, 0
receive: .long 1, 0
        .quad BUFFER + 0x1000
        # Who has 10.0.2.2? says 10.0.2.15.
frame:  .byte 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6
        .byte 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2
        .zero 18
frame_end:
        .balign 4
direct: .long 0
port:   .long 0
before: .long 0
        # eax: function; ebx, ecx, edx: arguments. The result's low half comes in eax.
call:   cmpl $0, direct
        je 1f
        add $0x414E0000, %eax
        vmmcall
        ret
1:      mov %eax, block
        mov %ebx, block + 8
        mov %ecx, block + 16
        mov %edx, block + 24
        push %edx
        mov $block, %eax
        mov port, %edx
        out %eax, %dx
        pop %edx
        mov block + 32, %eax
        ret
begin:  cli
        lgdt gdtr
        ljmp $8, $1f
1:      mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $0x90000, %esp
        # Are we on Anillo, and how are calls made?
        mov $0x40000100, %eax
        cpuid
        mov $1, %edi
        cmp $0x6C696E41, %ebx
        jne fail
        mov $0x40000101, %eax
        cpuid
        mov %ebx, port
        and $1, %ecx
        mov %ecx, direct
        xor %eax, %eax
        call call
        mov $2, %edi
        cmp $1, %eax
        jne fail
        mov $CONSOLE, %eax
        mov $hello, %ebx
        mov $hello_end - hello, %ecx
        call call
        mov $3, %edi
        cmp $hello_end - hello, %eax
        jne fail
        # Wait for 5 ms: the clock must have gone on by so much.
        mov $CLOCK, %eax
        call call
        mov %eax, before
        lea 5000000(%eax), %ebx
        mov $YIELD, %eax
        call call
2:      hlt
        mov $CLOCK, %eax
        call call
        sub before, %eax
        cmp $5000000, %eax
        jb 2b
        # The second sector, read and written to the third with all bits turned.
        mov $BLOCK, %eax
        mov $ring, %ebx
        mov $2, %ecx
        call call
        mov $4, %edi
        cmp $1, %eax
        jne fail
3:      mov ring + 4, %eax
        cmp $4, %eax
        jne 4f
        hlt
        jmp 3b
4:      mov $5, %edi
        cmp $2, %eax
        jne fail
        mov $128, %ecx
        mov $BUFFER, %esi
5:      notl (%esi)
        add $4, %esi
        loop 5b
        movl $1, ring + 32 + 4
        mov $BLOCK, %eax
        mov $ring, %ebx
        mov $2, %ecx
        call call
6:      mov ring + 32 + 4, %eax
        cmp $4, %eax
        jne 7f
        hlt
        jmp 6b
7:      mov $6, %edi
        cmp $2, %eax
        jne fail
        # A question to the network, and its answer.
        mov $RECEIVE, %eax
        mov $receive, %ebx
        mov $1, %ecx
        call call
        mov $7, %edi
        test %eax, %eax
        jnz fail
        mov $SEND, %eax
        mov $frame, %ebx
        mov $frame_end - frame, %ecx
        call call
        mov $8, %edi
        cmp $frame_end - frame, %eax
        jne fail
8:      cmpl $1, receive
        jne 9f
        hlt
        jmp 8b
9:      mov $9, %edi
        # An ARP reply from 10.0.2.2.
        cmpw $0x0608, BUFFER + 0x1000 + 12
        jne fail
        cmpw $0x0200, BUFFER + 0x1000 + 20
        jne fail
        cmpl $0x0202000A, BUFFER + 0x1000 + 28
        jne fail
        # Nonsense is refused.
        mov $CONSOLE, %eax
        mov $0xF0000000, %ebx
        mov $16, %ecx
        call call
        mov $10, %edi
        cmp $-14, %eax
        jne fail
        mov $4711, %eax
        call call
        mov $11, %edi
        cmp $-1000, %eax
        jne fail
        mov $0x2A, %edi
fail:   mov $EXIT, %eax
        mov %edi, %ebx
        call call
1:      hlt
        jmp 1b
end:
