/* What C expects before main, on boards that board.ld describes. */
#include "start.h"

#include "board.h"

extern uint32_t board_data_image[], board_data[], board_data_end[], board_bss[], board_bss_end[];
extern int main(void);

void board_start(void)
{
    const volatile uint32_t *from = board_data_image; /* volatile: no call of memcpy or memset */
    for (volatile uint32_t *to = board_data; to < board_data_end; ++to) {
        *to = *from++;
    }
    for (volatile uint32_t *to = board_bss; to < board_bss_end; ++to) {
        *to = 0;
    }
    main();
    board_exit(1); /* not the way that a program ends */
}
