/* board.h - what main.c needs of a board. Another board is another file beside microbit.c. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#define BOARD_TICKS_PER_SECOND 16000000ul

void board_start(void);
uint8_t board_receive(void); /* waits for a byte */
void board_send(const uint8_t *bytes, size_t count);
uint32_t board_ticks(void);  /* modulo 2**32 */

#endif
