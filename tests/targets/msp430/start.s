; Runs the self-test; what it returned is in r12 at the end.
        .section .vectors, "a"
        .word   start

        .section .finished, "ax"
        .globl  finished
finished:
        jmp     finished

        .text
start:  mov     #stack_top, r1
        call    #selftest
        br      #finished

; r12..r15 = r8..r11 * r12..r15, lowest words first; changes nothing else.
        .globl  __mspabi_mpyll
__mspabi_mpyll:
        push    r4
        push    r5
        push    r6
        push    r7
        push    r8
        push    r9
        push    r10
        push    r11
        clr     r4
        clr     r5
        clr     r6
        clr     r7
add_if_odd:
        bit     #1, r12
        jz      next_bit
        add     r8, r4
        addc    r9, r5
        addc    r10, r6
        addc    r11, r7
next_bit:
        rla     r8
        rlc     r9
        rlc     r10
        rlc     r11
        clrc
        rrc     r15
        rrc     r14
        rrc     r13
        rrc     r12
        tst     r12
        jnz     add_if_odd
        tst     r13
        jnz     add_if_odd
        tst     r14
        jnz     add_if_odd
        tst     r15
        jnz     add_if_odd
        mov     r4, r12
        mov     r5, r13
        mov     r6, r14
        mov     r7, r15
        pop     r11
        pop     r10
        pop     r9
        pop     r8
        pop     r7
        pop     r6
        pop     r5
        pop     r4
        ret
