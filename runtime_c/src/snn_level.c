#include "snn_row.h"
#include "snn_search.h"

/* Neurons of a line, which are treated channel by channel, so that what describes a channel stays in
 * registers. Levels take the place of sums, or go to `bytes`, which are 0. */
typedef struct {
    int32_t *sums;
    /* cppcheck-suppress unusedStructMember ; AVR does without */
    uint8_t *bytes;
    size_t channels, count; /* `count` neurons */
} line;

#if SNN_8_BIT

static void find(const snn_level_op *neuron, const line *at)
{
    const size_t channels = at->channels, count = at->count;
    int32_t *const sums = at->sums;
    for (size_t c = 0; c < channels; ++c) {
        const SNN_FLASH int32_t *const thresholds = neuron->thresholds + c * neuron->levels;
        for (size_t i = c; i < count; i += channels) {
            sums[i] = neuron->lowest + snn_reached(thresholds, neuron->levels, sums[i]);
        }
    }
}

#else

/* Field by field: avr-gcc 5.4 reads a whole struct from the wrong memory. */
static inline snn_steps steps_of(const SNN_FLASH snn_steps *at)
{
    const snn_steps steps = {at->first, at->last, at->multiplier, at->offset};
    return steps;
}

static inline snn_wide_steps wide_steps_of(const SNN_FLASH snn_wide_steps *at)
{
    const snn_wide_steps steps = {at->offset, at->multiplier, at->first};
    return steps;
}

static inline int32_t level_of(const snn_steps *steps, uint8_t shift, int32_t sum)
{
    if (sum < steps->first) {
        return 0;
    }
    const uint32_t clipped = (uint32_t)(sum < steps->last ? sum : steps->last);
    return (int32_t)(1 + ((clipped * steps->multiplier + steps->offset) >> shift));
}

static inline int32_t wide_level_of(const snn_wide_steps *steps, uint8_t shift, uint32_t levels,
                                    int32_t sum)
{
    if (sum < steps->first) {
        return 0;
    }
    const uint64_t product = (uint64_t)((int64_t)sum * steps->multiplier + steps->offset);
    const uint32_t level = 1 + ((uint32_t)(product >> 32) >> shift);
    return (int32_t)(level < levels ? level : levels);
}

static void products(const snn_level_op *neuron, const line *at)
{
    const size_t channels = at->channels, count = at->count;
    int32_t *const sums = at->sums;
    const uint8_t shift = neuron->shift;
    const int32_t lowest = neuron->lowest;
    for (size_t c = 0; c < channels; ++c) {
        const snn_steps steps = steps_of(&neuron->steps[c]);
        for (size_t i = c; i < count; i += channels) {
            sums[i] = lowest + level_of(&steps, shift, sums[i]);
        }
    }
}

static void byte_products(const snn_level_op *neuron, const line *at)
{
    const size_t channels = at->channels, count = at->count;
    const int32_t *const sums = at->sums;
    uint8_t *const bytes = at->bytes;
    const uint8_t shift = neuron->shift;
    for (size_t c = 0; c < channels; ++c) {
        const snn_steps steps = steps_of(&neuron->steps[c]);
        for (size_t i = c; i < count; i += channels) {
            if (sums[i] >= steps.first) {
                bytes[i] = (uint8_t)level_of(&steps, shift, sums[i]);
            }
        }
    }
}

static void wide_products(const snn_level_op *neuron, const line *at)
{
    const size_t channels = at->channels, count = at->count;
    int32_t *const sums = at->sums;
    const uint8_t shift = neuron->shift;
    const uint32_t levels = neuron->levels;
    const int32_t lowest = neuron->lowest;
    for (size_t c = 0; c < channels; ++c) {
        const snn_wide_steps steps = wide_steps_of(&neuron->wide_steps[c]);
        for (size_t i = c; i < count; i += channels) {
            sums[i] = lowest + wide_level_of(&steps, shift, levels, sums[i]);
        }
    }
}

static void wide_byte_products(const snn_level_op *neuron, const line *at)
{
    const size_t channels = at->channels, count = at->count;
    const int32_t *const sums = at->sums;
    uint8_t *const bytes = at->bytes;
    const uint8_t shift = neuron->shift;
    const uint32_t levels = neuron->levels;
    for (size_t c = 0; c < channels; ++c) {
        const snn_wide_steps steps = wide_steps_of(&neuron->wide_steps[c]);
        for (size_t i = c; i < count; i += channels) {
            if (sums[i] >= steps.first) {
                bytes[i] = (uint8_t)wide_level_of(&steps, shift, levels, sums[i]);
            }
        }
    }
}

/* The lower bound, and then further where the sum has reached more thresholds. */
static void compared(const snn_level_op *neuron, const line *at)
{
    const size_t channels = at->channels, count = at->count;
    int32_t *const sums = at->sums;
    const int32_t levels = neuron->levels, lowest = neuron->lowest;
    const uint8_t shift = neuron->shift;
    for (size_t c = 0; c < channels; ++c) {
        const SNN_FLASH int32_t *thresholds = neuron->thresholds + c * neuron->levels;
        const snn_steps steps = steps_of(&neuron->steps[c]);
        for (size_t i = c; i < count; i += channels) {
            int32_t level = level_of(&steps, shift, sums[i]);
            for (uint16_t k = neuron->comparisons;
                 level < levels && sums[i] >= thresholds[level] && k > 0; --k) {
                ++level;
            }
            sums[i] = lowest + level;
        }
    }
}

#endif

void snn_level(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
               int32_t *membrane, int32_t *balance)
{
    const snn_level_op *neuron = op;
    const line at = {current, rows, output->channels,
                     (size_t)output->channels * output->width};
    (void)membrane, (void)balance;
#if SNN_8_BIT
    if (output->type == SNN_U8 && neuron->lowest == 0) {
        snn_clear(rows, at.count);
        for (uint16_t c = 0; c < output->channels; ++c) {
            snn_find_levels(neuron->thresholds + c * neuron->levels, neuron->levels, current + c,
                            rows + c, output->channels, output->width);
        }
        return;
    }
    find(neuron, &at);
#else
    if (output->type == SNN_U8 && neuron->lowest == 0 && neuron->comparisons == 0) {
        snn_clear(rows, at.count);
        (neuron->wide_steps != NULL ? wide_byte_products : byte_products)(neuron, &at);
        return;
    }
    if (neuron->wide_steps != NULL) {
        wide_products(neuron, &at);
    } else {
        (neuron->comparisons > 0 ? compared : products)(neuron, &at);
    }
#endif
    snn_put_line(rows, output, current);
}
