/* Levels by comparison with all thresholds, for processors with vectors: several channels of four
 * neighbouring neurons at a time. */
#include "snn_vector.h"

#define AT_ONCE 16 /* thresholds, after which it is asked whether any neuron is above them all */

/* Neurons of a line, from one channel on, and where their levels go: bytes, else in place of sums. */
typedef struct {
    const SNN_FLASH int32_t *thresholds; /* of the next level: `channels` further on */
    size_t levels, channels;
    int32_t lowest;
    int32_t *sums;
    uint8_t *bytes; /* or NULL */
} neurons;

static inline void put(const neurons *of, size_t position, snn_vector levels)
{
    if (of->bytes != NULL) {
        snn_put_bytes(of->bytes + position * of->channels, levels);
    } else {
        snn_store(of->sums + position * of->channels, levels);
    }
}

static void count_4(const neurons *of, size_t position)
{
    const size_t channels = of->channels;
    const int32_t *const sums = of->sums + position * channels;
    const SNN_FLASH int32_t *at = of->thresholds;
    const snn_vector a = snn_load(sums), b = snn_load(sums + channels);
    const snn_vector c = snn_load(sums + 2 * channels), d = snn_load(sums + 3 * channels);
    snn_vector levels_a = snn_vector_of(of->lowest);
    snn_vector levels_b = levels_a, levels_c = levels_a, levels_d = levels_a;
    snn_vector threshold = snn_vector_of(0);
    size_t left = of->levels;
    bool all_below;

    do {
        const size_t count = left < AT_ONCE ? left : AT_ONCE;
        const snn_vector all = snn_vector_of((int32_t)count);
        levels_a = snn_sum(levels_a, all), levels_b = snn_sum(levels_b, all);
        levels_c = snn_sum(levels_c, all), levels_d = snn_sum(levels_d, all);
        for (size_t k = count; k > 0; --k) {
            threshold = snn_load_parameters(at);
            levels_a = snn_less_one_where_above(levels_a, threshold, a);
            levels_b = snn_less_one_where_above(levels_b, threshold, b);
            levels_c = snn_less_one_where_above(levels_c, threshold, c);
            levels_d = snn_less_one_where_above(levels_d, threshold, d);
            at += channels;
        }
        left -= count;
        all_below = left == 0
                    || (snn_all_above(threshold, a) && snn_all_above(threshold, b)
                        && snn_all_above(threshold, c) && snn_all_above(threshold, d));
    } while (!all_below);
    put(of, position, levels_a);
    put(of, position + 1, levels_b);
    put(of, position + 2, levels_c);
    put(of, position + 3, levels_d);
}

static void count_1(const neurons *of, size_t position)
{
    const snn_vector sums = snn_load(of->sums + position * of->channels);
    const SNN_FLASH int32_t *at = of->thresholds;
    snn_vector levels = snn_vector_of(of->lowest + (int32_t)of->levels);
    for (size_t k = of->levels; k > 0; --k) {
        levels = snn_less_one_where_above(levels, snn_load_parameters(at), sums);
        at += of->channels;
    }
    put(of, position, levels);
}

/* One channel, where those left do not fill a vector. */
static void count_channel(const neurons *of, size_t positions)
{
    for (size_t i = 0; i < positions * of->channels; i += of->channels) {
        int32_t level = of->lowest;
        for (size_t k = 0; k < of->levels; ++k) {
            level += of->sums[i] >= of->thresholds[k * of->channels];
        }
        if (of->bytes != NULL) {
            of->bytes[i] = (uint8_t)level;
        } else {
            of->sums[i] = level;
        }
    }
}

void snn_compare(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
                 int32_t *membrane, int32_t *balance)
{
    const snn_compare_op *neuron = op;
    const size_t channels = output->channels, positions = output->width;
    const bool to_bytes = output->type == SNN_U8;
    size_t left = channels;
    neurons of = {neuron->thresholds, neuron->levels, channels, neuron->lowest, current,
                  to_bytes ? rows : NULL};
    (void)membrane, (void)balance;
    while (left > 0) {
        const size_t step = left >= SNN_LANES ? SNN_LANES : 1;
        size_t x = 0;
        if (step == 1) {
            count_channel(&of, positions);
            x = positions;
        }
        for (; x + 4 <= positions; x += 4) {
            count_4(&of, x);
        }
        for (; x < positions; ++x) {
            count_1(&of, x);
        }
        of.thresholds += step;
        of.sums += step;
        of.bytes = to_bytes ? of.bytes + step : NULL;
        left -= step;
    }
    if (!to_bytes) {
        snn_put_line(rows, output, current);
    }
}
