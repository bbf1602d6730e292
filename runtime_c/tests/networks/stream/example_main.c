/* example_main.c - checks the network on this machine, then follows a stream of events from stdin.
 *
 *     ./build/model < bins.bin      MODEL_INPUT_BYTES bytes, CHW, of every timestep; its class so far
 *                                on a line of its own */
#include <stdio.h>

#include "model.h"

static model_arena arena;

int main(void)
{
    static uint8_t bins[MODEL_INPUT_BYTES];
    const int selftest = model_selftest(&arena, sizeof arena);
    fprintf(stderr, "selftest: %s\n", selftest == 0 ? "PASS" : "FAIL");
    if (selftest != 0) {
        return 1;
    }
    model_reset(&arena, sizeof arena);
    while (fread(bins, 1, sizeof bins, stdin) == sizeof bins) {
        model_step(&arena, sizeof arena, bins);
        printf("%d\n", model_result(&arena, sizeof arena, NULL));
    }
    return 0;
}
