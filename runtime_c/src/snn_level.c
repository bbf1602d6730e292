#include <string.h>

#include "snn_row.h"

static inline uint32_t clipped(const snn_steps *steps, int32_t sum)
{
    const int32_t base = steps->base, last = steps->last;
    const int32_t within = sum < base ? base : sum > last ? last : sum;
    return (uint32_t)within - (uint32_t)base;
}

static inline int32_t level_of(const snn_steps *steps, uint8_t shift, int32_t sum)
{
    const uint32_t u = clipped(steps, sum);
    return (int32_t)((u * steps->multiplier + steps->offset) >> shift);
}

static void products(const snn_level_op *neuron, uint16_t channels, int32_t *current)
{
    const snn_steps *steps = neuron->steps;
    const uint8_t shift = neuron->shift;
    const int32_t lowest = neuron->lowest;
    for (uint16_t c = channels; c > 0; --c) {
        const int32_t sum = *current;
        *current++ = lowest + level_of(steps++, shift, sum);
    }
}

/* The same where the product needs 64 bits. */
static void wide_products(const snn_level_op *neuron, uint16_t channels, int32_t *current)
{
    const snn_steps *steps = neuron->steps;
    const uint8_t shift = (uint8_t)(neuron->shift - 32);
    const int32_t lowest = neuron->lowest;
    for (uint16_t c = channels; c > 0; --c) {
        const int32_t sum = *current;
        const uint32_t u = clipped(steps, sum);
        const uint64_t product = (uint64_t)u * steps->multiplier + steps->offset;
        ++steps;
        *current++ = lowest + (int32_t)((uint32_t)(product >> 32) >> shift);
    }
}

/* The lower bound, and then further where the sum has reached more thresholds. */
static void compared(const snn_level_op *neuron, uint16_t channels, int32_t *current)
{
    const snn_steps *steps = neuron->steps;
    const int32_t *thresholds = neuron->thresholds;
    const int32_t levels = neuron->levels, lowest = neuron->lowest;
    const uint16_t comparisons = neuron->comparisons;
    const uint8_t shift = neuron->shift;
    for (uint16_t c = channels; c > 0; --c) {
        const int32_t sum = *current;
        int32_t level = level_of(steps++, shift, sum);
        for (uint16_t k = comparisons; level < levels && sum >= thresholds[level] && k > 0; --k) {
            ++level;
        }
        thresholds += levels;
        *current++ = lowest + level;
    }
}

void snn_level(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
               int32_t *membrane, int32_t *balance)
{
    const snn_level_op *neuron = op;
    const uint16_t channels = output->channels;
    (void)balance;
    if (membrane != NULL) {
        memcpy(membrane, current, (size_t)channels * output->width * sizeof *membrane);
    }
    for (uint16_t x = 0; x < output->width; ++x) {
        int32_t *row = current + (size_t)x * channels;
        if (neuron->comparisons > 0) {
            compared(neuron, channels, row);
        } else if (neuron->shift >= 32) {
            wide_products(neuron, channels, row);
        } else {
            products(neuron, channels, row);
        }
    }
    snn_put_line(rows, output, current);
}
