/* The depth of the stack: paint what lies below it, call, and see how far the paint is gone. */
#include "board.h"

#if defined(__AVR__)
#include <avr/io.h>
#define STACK_TOP ((volatile uint8_t *)(RAMEND + 1))
#else
extern volatile uint8_t board_stack_top[];
#define STACK_TOP (board_stack_top)
#endif

#define PAINT 0xA5
#define MEASURED_BYTES 1024 /* deeper is not told apart; every board keeps as much free */

static volatile uint8_t *painted_to;

void board_paint_stack(void)
{
    painted_to = __builtin_frame_address(0);
    for (volatile uint8_t *p = STACK_TOP - MEASURED_BYTES; p < painted_to - 64; ++p) {
        *p = PAINT;
    }
}

uint32_t board_stack_used(void)
{
    const volatile uint8_t *p = STACK_TOP - MEASURED_BYTES;
    while (p < painted_to && *p == PAINT) {
        ++p;
    }
    return (uint32_t)(painted_to - p);
}
