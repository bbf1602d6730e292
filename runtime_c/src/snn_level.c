#include "snn_row.h"

/* `level`, or more where the sum has reached further thresholds of channel `c`. */
static int32_t further(const snn_level_op *neuron, uint16_t c, int32_t sum, int32_t level)
{
    const size_t first = (size_t)c * neuron->levels;
    while (level < neuron->levels && sum >= snn_at(&neuron->thresholds, first + (size_t)level)) {
        ++level;
    }
    return level;
}

static void add_levels(const snn_level_op *neuron, uint16_t channels, int32_t *restrict current,
                       int32_t *restrict membrane)
{
    const int32_t *restrict base = neuron->base, *restrict last = neuron->last;
    const uint32_t *restrict multiplier = neuron->multiplier, *restrict offset = neuron->offset;
    const uint8_t shift = neuron->shift;
    const int32_t lowest = neuron->lowest;
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t sum = current[c];
        const int32_t clipped = sum < base[c] ? base[c] : sum > last[c] ? last[c] : sum;
        const uint32_t u = (uint32_t)clipped - (uint32_t)base[c];
        membrane[c] = sum;
        current[c] = (int32_t)((u * multiplier[c] + offset[c]) >> shift);
    }
    if (neuron->thresholds.data != NULL) {
        for (uint16_t c = 0; c < channels; ++c) {
            current[c] = further(neuron, c, membrane[c], current[c]);
        }
    }
    for (uint16_t c = 0; c < channels; ++c) {
        current[c] += lowest;
    }
}

void snn_level(const void *op, uint16_t channels, uint16_t width, int32_t *current,
               int32_t *membrane, int32_t *balance)
{
    (void)balance;
    for (uint16_t x = 0; x < width; ++x) {
        add_levels(op, channels, current, membrane);
        current += channels;
        membrane += channels;
    }
}
