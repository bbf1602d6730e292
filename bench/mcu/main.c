/* Runs a contender on an emulated board. Input: the number of images in two bytes, low byte first, and
 * the images. Output for each: its class and the bytes of stack. The emulator counts twice for each:
 * the whole network, and its first layer. */
#include "board.h"
#include "contender.h"

static uint8_t image[INPUT_BYTES];

int main(void)
{
    uint8_t count[2];
    board_read(count, sizeof count);
    for (uint16_t i = (uint16_t)(count[0] | count[1] << 8); i > 0; --i) {
        board_read(image, sizeof image);
        board_paint_stack();
        board_begin();
        const int32_t class = contender_run(image);
        board_end();
        const uint32_t stack = board_stack_used();
        board_begin();
        contender_first(image);
        board_end();
        board_write(&class, sizeof class);
        board_write(&stack, sizeof stack);
    }
    board_exit(0);
    return 0;
}
