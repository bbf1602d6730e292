/* Runs without end: one timestep at a call, and in the arena all that is remembered between calls.
 *
 * Layers begin with their initial state at timestep 0, so that a reset need not know what state
 * they have: it begins to count timesteps anew. */
#include "snn_stream.h"

#include "snn_ends.h"

#define MARK UINT32_C(0x736E6E73) /* tells an arena that was reset from one that never was */
#define LAST_TIMESTEP (UINT16_MAX - 1)

typedef struct {
    uint32_t mark;
    uint32_t steps; /* since the reset, LAST_TIMESTEP at most */
} progress;

int snn_stream_check(const snn_model *model, const void *arena, size_t arena_bytes)
{
    const int error = snn_check_arena(model, arena, arena_bytes, NULL);
    if (error != 0) {
        return error;
    }
    const progress *now = (const void *)((const unsigned char *)arena + model->progress);
    return now->mark == MARK && now->steps <= LAST_TIMESTEP ? 0 : SNN_NOT_RESET;
}

int snn_stream_reset(const snn_model *model, void *arena, size_t arena_bytes)
{
    const int error = snn_check_arena(model, arena, arena_bytes, NULL);
    if (error != 0) {
        return error;
    }
    const snn_values *sums = model->output->output;
    progress *now = (void *)((unsigned char *)arena + model->progress);
    now->mark = MARK;
    now->steps = 0;
    snn_clear((unsigned char *)arena + sums->offset, sums->plane_bytes);
    return 0;
}

void snn_stream_advance(const snn_model *model, unsigned char *arena, snn_trace_fn *trace,
                        void *user)
{
    progress *now = (void *)(arena + model->progress);
    const snn_call call = {
        .arena = arena,
        .timesteps = 1,
        .begin = (uint16_t)now->steps,
        .end = (uint16_t)(now->steps + 1),
        .trace = trace,
        .user = user,
    };
    for (uint16_t i = 0; i < model->layer_count; ++i) {
        model->layers[i].run(&model->layers[i], &call);
    }
    if (now->steps < LAST_TIMESTEP) {
        ++now->steps;
    }
}

int snn_stream_step(const snn_model *model, void *arena, size_t arena_bytes, const uint8_t *bins,
                    snn_trace_fn *trace, void *user)
{
    const int error =
        bins == NULL ? SNN_NULL_POINTER : snn_stream_check(model, arena, arena_bytes);
    if (error != 0) {
        return error;
    }
    snn_put_image(model, arena, bins);
    snn_stream_advance(model, arena, trace, user);
    return 0;
}

int snn_stream_result(const snn_model *model, const void *arena, size_t arena_bytes,
                      int32_t *membranes)
{
    const int error = snn_stream_check(model, arena, arena_bytes);
    if (error != 0) {
        return error;
    }
    if (!snn_is_aligned(membranes, SNN_ARENA_ALIGNMENT)) {
        return SNN_MISALIGNED;
    }
    const size_t offset = model->output->output->offset;
    return snn_read_output(model, (const unsigned char *)arena + offset, membranes);
}
