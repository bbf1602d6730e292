#include "snn_ends.h"
#include "snn_run.h"
#include "snn_stream.h"

/* Hashes one neuron at one timestep. */
static uint32_t mix(uint32_t layer, uint32_t neuron, uint32_t t, uint32_t output, uint32_t membrane)
{
    const uint32_t words[5] = {layer, neuron, t, output, membrane};
    uint32_t hash = UINT32_C(0x736E6E67);
    for (unsigned i = 0; i < 5; ++i) {
        hash = (hash ^ words[i]) * UINT32_C(0x9E3779B1);
        hash ^= hash >> 15;
    }
    return hash;
}

void snn_hash_step(void *user, const snn_step *step)
{
    uint32_t *sum = user;
    for (uint32_t i = 0; i < step->count; ++i) {
        const int32_t membrane = step->membranes == NULL ? 0 : step->membranes[i];
        *sum += mix(step->layer, step->neuron + i, step->timestep, (uint32_t)step->outputs[i],
                    (uint32_t)membrane);
    }
}

/* Like snn_put_image, for an image that may lie in flash. */
static void put_known(const snn_model *model, unsigned char *arena, const SNN_FLASH uint8_t *image)
{
    const snn_values *input = model->input;
    const size_t rows = (size_t)input->height * input->width;
    for (size_t row = 0; row < rows; ++row) {
        for (uint16_t c = 0; c < input->channels; ++c) {
            snn_put_code(model, arena, row, c,
                         image[snn_user_index(input, model->image_is_chw, c, row)]);
        }
    }
}

int snn_selftest(const snn_model *model, const snn_known_answers *known, void *arena,
                 size_t arena_bytes)
{
    const int error = snn_check_arena(model, arena, arena_bytes, NULL);
    if (error != 0) {
        return error;
    }
    for (uint16_t i = 0; i < known->count; ++i) {
        uint32_t hash = 0;
        const snn_run_options options = {
            .arena = arena,
            .arena_bytes = arena_bytes,
            .trace = snn_hash_step,
            .user = &hash,
        };
        put_known(model, arena, known->images + i * known->image_bytes);
        (void)snn_evaluate(model, &options);
        if (hash != known->hashes[i]) {
            return SNN_SELFTEST_FAILED;
        }
    }
    return 0;
}

int snn_selftest_streams(const snn_model *model, const snn_known_answers *known, void *arena,
                         size_t arena_bytes)
{
    const SNN_FLASH uint8_t *bins = known->images;
    for (uint16_t i = 0; i < known->count; ++i) {
        uint32_t hash = 0;
        const int error = snn_stream_reset(model, arena, arena_bytes);
        if (error != 0) {
            return error;
        }
        for (uint16_t t = 0; t < known->timesteps; ++t) {
            put_known(model, arena, bins);
            snn_stream_advance(model, arena, snn_hash_step, &hash);
            bins += known->image_bytes;
        }
        if (hash != known->hashes[i]) {
            return SNN_SELFTEST_FAILED;
        }
    }
    return 0;
}
