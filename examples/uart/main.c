/* main.c - a network that answers a host over the board's UART, for `snngen run --port`. */
#include "board.h"
#include "model.h"
#include "snn_link.h"

static model_arena arena;
static uint8_t image[MODEL_INPUT_BYTES];
static int32_t membranes[MODEL_OUTPUTS];

static snn_link_result run(void *user, const uint8_t *pixels, int32_t *outputs, bool traced)
{
    snn_link_result result = {0};
    const uint32_t begin = board_ticks();
    (void)user;
    if (traced) {
        result.winner = model_run_traced(&arena, sizeof arena, pixels, outputs, snn_hash_step,
                                         &result.hash);
    } else {
        result.winner = model_run(&arena, sizeof arena, pixels, outputs);
    }
    result.ticks = board_ticks() - begin;
    return result;
}

static int selftest(void *user)
{
    (void)user;
    return model_selftest(&arena, sizeof arena);
}

static void send(void *user, const uint8_t *bytes, size_t count)
{
    (void)user;
    board_send(bytes, count);
}

static const snn_link_network network = {
    .name = MODEL_NAME,
    .digest = MODEL_DIGEST,
    .channels = MODEL_CHANNELS,
    .height = MODEL_HEIGHT,
    .width = MODEL_WIDTH,
    .image_is_chw = MODEL_IMAGE_IS_CHW,
    .timesteps = MODEL_TIMESTEPS,
    .outputs = MODEL_OUTPUTS,
    .ticks_per_second = BOARD_TICKS_PER_SECOND,
    .run = run,
    .selftest = selftest,
    .send = send,
};

int main(void)
{
    snn_link link;
    board_start();
    snn_link_init(&link, &network, NULL, image, membranes);
    for (;;) {
        snn_link_take(&link, board_receive());
    }
}
