/* The channel of AVR boards: three registers without a function of their own, which host/run_avr.c
 * watches. avr-libc starts the board. */
#include <avr/io.h>

#include "board.h"

#define CONTROL GPIOR0 /* what is written: 'B' begin, 'E' end, 'X' exit, 'F' exit as failed */
#define OUTPUT GPIOR1  /* bytes written are output */
#define INPUT GPIOR2   /* bytes read are input */

void board_read(void *to, size_t bytes)
{
    uint8_t *next = to;
    while (bytes-- > 0) {
        *next++ = INPUT;
    }
}

void board_write(const void *from, size_t bytes)
{
    const uint8_t *next = from;
    while (bytes-- > 0) {
        OUTPUT = *next++;
    }
}

void board_exit(int status)
{
    for (;;) {
        CONTROL = status == 0 ? 'X' : 'F';
    }
}

void board_begin(void)
{
    CONTROL = 'B';
}

void board_end(void)
{
    CONTROL = 'E';
}
