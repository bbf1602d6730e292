/* example_main.c - checks the network on this machine, then classifies raw images from stdin.
 *
 *     ./build/model < images.bin      one class per line; images of MODEL_INPUT_BYTES bytes, HWC */
#include <stdio.h>

#include "model.h"

static model_arena arena;

int main(void)
{
    static uint8_t image[MODEL_INPUT_BYTES];
    const int selftest = model_selftest(&arena, sizeof arena);
    fprintf(stderr, "selftest: %s\n", selftest == 0 ? "PASS" : "FAIL");
    if (selftest != 0) {
        return 1;
    }
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        printf("%d\n", model_run(&arena, sizeof arena, image, NULL));
    }
    return 0;
}
