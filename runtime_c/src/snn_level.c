#include <string.h>

#include "snn_row.h"

static inline int32_t level_of(const snn_steps *steps, uint8_t shift, int32_t sum)
{
    const int32_t first = steps->first, last = steps->last;
    if (sum < first) {
        return 0;
    }
    const uint32_t u = (uint32_t)(sum < last ? sum : last) - (uint32_t)first;
    return (int32_t)(1 + ((u * steps->multiplier + steps->offset) >> shift));
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

/* The same for levels that begin with 0, stored as bytes at once. */
static void byte_products(const snn_level_op *neuron, uint16_t channels, const int32_t *current,
                          uint8_t *row)
{
    const snn_steps *steps = neuron->steps;
    const uint8_t shift = neuron->shift;
    for (uint16_t c = channels; c > 0; --c) {
        *row++ = (uint8_t)level_of(steps++, shift, *current++);
    }
}

static inline uint32_t wide_level_of(const snn_wide_steps *steps, uint8_t shift, uint32_t levels,
                                     int32_t sum)
{
    if (sum < steps->first) {
        return 0;
    }
    const uint64_t product = (uint64_t)((int64_t)sum * steps->multiplier + steps->offset);
    const uint32_t level = 1 + ((uint32_t)(product >> 32) >> shift);
    return level < levels ? level : levels;
}

static void wide_products(const snn_level_op *neuron, uint16_t channels, int32_t *current)
{
    const snn_wide_steps *steps = neuron->wide_steps;
    const uint8_t shift = neuron->shift;
    const uint32_t levels = neuron->levels;
    const int32_t lowest = neuron->lowest;
    for (uint16_t c = channels; c > 0; --c) {
        const int32_t sum = *current;
        *current++ = lowest + (int32_t)wide_level_of(steps++, shift, levels, sum);
    }
}

static void wide_byte_products(const snn_level_op *neuron, uint16_t channels,
                               const int32_t *current, uint8_t *row)
{
    const snn_wide_steps *steps = neuron->wide_steps;
    const uint8_t shift = neuron->shift;
    const uint32_t levels = neuron->levels;
    for (uint16_t c = channels; c > 0; --c) {
        *row++ = (uint8_t)wide_level_of(steps++, shift, levels, *current++);
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

/* One row of levels that are stored as they come. */
static void put_bytes(const snn_level_op *neuron, uint16_t channels, const int32_t *current,
                      uint8_t *row)
{
    if (neuron->wide_steps != NULL) {
        wide_byte_products(neuron, channels, current, row);
    } else {
        byte_products(neuron, channels, current, row);
    }
}

/* One row of levels, in place of the current. */
static void replace(const snn_level_op *neuron, uint16_t channels, int32_t *current)
{
    if (neuron->wide_steps != NULL) {
        wide_products(neuron, channels, current);
    } else if (neuron->comparisons > 0) {
        compared(neuron, channels, current);
    } else {
        products(neuron, channels, current);
    }
}

void snn_level(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
               int32_t *membrane, int32_t *balance)
{
    const snn_level_op *neuron = op;
    const uint16_t channels = output->channels;
    const bool bytes =
        output->type == SNN_U8 && neuron->lowest == 0 && neuron->comparisons == 0;
    (void)balance;
    if (membrane != NULL) {
        memcpy(membrane, current, (size_t)channels * output->width * sizeof *membrane);
    }
    for (uint16_t x = 0; x < output->width; ++x) {
        if (bytes) {
            put_bytes(neuron, channels, current, rows);
            rows += output->row_bytes;
        } else {
            replace(neuron, channels, current);
        }
        current += channels;
    }
    if (!bytes) {
        snn_put_line(rows, output, current - (size_t)channels * output->width);
    }
}
