/* board.h - what a program needs of an emulated board, beside a C compiler.
 *
 * A board is a start-up file, a channel to the emulator's host, and two marks between which the
 * emulator counts. None of this is part of an emitted network. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Reads exactly `bytes` bytes of the host's input; stops the board where there are fewer. */
void board_read(void *to, size_t bytes);

/* Appends `bytes` bytes to the host's output. */
void board_write(const void *from, size_t bytes);

/* Stops the board. The host sees a failure unless `status` is 0. */
void board_exit(int status);

/* Instructions (AVR: cycles) are counted from the return of the first to the call of the second. */
void board_begin(void);
void board_end(void);

/* How far calls of the function that calls both made the stack grow in between, in bytes. */
static inline void board_paint_stack(void) __attribute__((always_inline));
uint32_t board_stack_used(void);

void board_paint_stack_below(volatile uint8_t *top);

/* Where the stack of the function ends that this is inlined into. */
static inline volatile uint8_t *board_stack_pointer(void) __attribute__((always_inline));
static inline volatile uint8_t *board_stack_pointer(void)
{
    volatile uint8_t *pointer;
#if defined(__AVR__)
    __asm volatile("in %A0, __SP_L__\n\tin %B0, __SP_H__" : "=r"(pointer));
    return pointer + 1; /* it points to the first free byte */
#elif defined(__arm__)
    __asm volatile("mov %0, sp" : "=r"(pointer));
#elif defined(__riscv)
    __asm volatile("mv %0, sp" : "=r"(pointer));
#elif defined(__powerpc__)
    __asm volatile("mr %0, 1" : "=r"(pointer));
#endif
    return pointer;
}

static inline void board_paint_stack(void)
{
    board_paint_stack_below(board_stack_pointer());
}

#endif
