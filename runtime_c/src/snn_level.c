#include "snn_row.h"

/* How many of `count` ascending thresholds, from index `at`, are <= sum: a binary search. */
static int32_t reached(const snn_array *thresholds, size_t at, uint16_t count, int32_t sum)
{
    uint16_t below = 0, above = count; /* those before `below` are reached, those from `above` not */
    while (below < above) {
        const uint16_t middle = (uint16_t)(below + (above - below) / 2);
        if (sum >= snn_at(thresholds, at + middle)) {
            below = (uint16_t)(middle + 1);
        } else {
            above = middle;
        }
    }
    return below;
}

void snn_level(const void *op, uint16_t channels, int32_t *current, int32_t *membrane,
               int32_t *balance)
{
    const snn_level_op *neuron = op;
    (void)balance;
    for (uint16_t c = 0; c < channels; ++c) {
        membrane[c] = current[c];
        current[c] = neuron->lowest + reached(&neuron->thresholds, (size_t)c * neuron->levels,
                                              neuron->levels, current[c]);
    }
}
