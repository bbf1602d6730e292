#include "snn_model.h"

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

static void add_hashes(void *user, const snn_step *step)
{
    uint32_t *sum = user;
    for (uint32_t i = 0; i < step->count; ++i) {
        const int32_t membrane = step->membranes == NULL ? 0 : step->membranes[i];
        *sum += mix(step->layer, step->neuron + i, step->timestep, (uint32_t)step->outputs[i],
                    (uint32_t)membrane);
    }
}

int snn_selftest(const snn_model *model, const snn_known_answers *known, void *arena,
                 size_t arena_bytes)
{
    for (uint16_t i = 0; i < known->count; ++i) {
        uint32_t hash = 0;
        const snn_run_options options = {
            .arena = arena,
            .arena_bytes = arena_bytes,
            .trace = add_hashes,
            .user = &hash,
        };
        const int result = snn_run(model, known->images + i * known->image_bytes, &options);
        if (result < 0) {
            return result;
        }
        if (hash != known->hashes[i]) {
            return SNN_SELFTEST_FAILED;
        }
    }
    return 0;
}
