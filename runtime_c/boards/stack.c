/* The depth of the stack: paint what lies below it, call, and see how far the paint is gone. */
#include "board.h"

#if defined(__AVR__)
#include <avr/io.h>
#define STACK_TOP ((volatile uint8_t *)(RAMEND + 1))
#elif defined(__unix__) /* the stack begins far above: this frame is deep enough */
#define STACK_TOP ((volatile uint8_t *)__builtin_frame_address(0))
#else
extern volatile uint8_t board_stack_top[];
#define STACK_TOP (board_stack_top)
#endif

#define PAINT 0xA5
#define MEASURED_BYTES 1024 /* deeper is not told apart; every board keeps as much free */

static volatile uint8_t *painted_from, *painted_to;

void board_paint_stack_below(volatile uint8_t *top)
{
    const volatile uint8_t *const own = __builtin_frame_address(0);
    painted_from = STACK_TOP - MEASURED_BYTES;
    painted_to = top;
    for (volatile uint8_t *p = painted_from; p < own - 64; ++p) {
        *p = PAINT;
    }
}

uint32_t board_stack_used(void)
{
    const volatile uint8_t *p = painted_from;
    while (p < painted_to && *p == PAINT) {
        ++p;
    }
    return (uint32_t)(painted_to - p);
}
