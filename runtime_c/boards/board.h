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

/* How deep the stack grew below the caller of board_paint_stack(), in bytes. */
void board_paint_stack(void);
uint32_t board_stack_used(void);

#endif
