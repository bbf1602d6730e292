#include <string.h>

#include "snn_row.h"

void snn_get_row(int32_t *to, const void *row, uint8_t type, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = snn_get(row, type, i);
    }
}

void snn_get_array(int32_t *to, const snn_array *array, size_t count)
{
    if (array->data == NULL) {
        memset(to, 0, count * sizeof *to);
    } else {
        snn_get_row(to, array->data, array->type, count);
    }
}

static void put_bits(uint8_t *row, size_t count, const int32_t *from)
{
    for (size_t i = 0; i < count; i += 8) {
        const size_t left = count - i < 8 ? count - i : 8;
        unsigned bits = 0;
        for (size_t k = 0; k < left; ++k) {
            bits |= (unsigned)from[i + k] << k;
        }
        row[i >> 3] = (uint8_t)bits;
    }
}

void snn_put_row(void *row, uint8_t type, size_t count, const int32_t *from)
{
    switch (type) {
    case SNN_BITS:
        put_bits(row, count, from);
        break;
    case SNN_U8:
        for (size_t i = 0; i < count; ++i) {
            ((uint8_t *)row)[i] = (uint8_t)from[i];
        }
        break;
    case SNN_I8:
        for (size_t i = 0; i < count; ++i) {
            ((int8_t *)row)[i] = (int8_t)from[i];
        }
        break;
    case SNN_I16:
        for (size_t i = 0; i < count; ++i) {
            ((int16_t *)row)[i] = (int16_t)from[i];
        }
        break;
    default:
        memcpy(row, from, count * sizeof *from);
        break;
    }
}

void snn_add_row(int32_t *current, const void *row, uint8_t type, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        current[i] += snn_get(row, type, i);
    }
}

void snn_add_products(int32_t *current, const void *row, uint8_t type, size_t count,
                      const snn_array *weights, size_t at)
{
    for (size_t i = 0; i < count; ++i) {
        current[i] += snn_at(weights, at + i) * snn_get(row, type, i);
    }
}

#define LANES 8 /* a constant number of turns, which compilers make into vectors or unroll */

/* current[o] += value * weights[o], for the usual 8-bit weights */
static inline void add_narrow(int32_t *restrict current, uint16_t outputs,
                              const int8_t *restrict weights, int32_t value)
{
    while (outputs >= LANES) {
        for (uint16_t lane = 0; lane < LANES; ++lane) {
            current[lane] += value * weights[lane];
        }
        current += LANES;
        weights += LANES;
        outputs = (uint16_t)(outputs - LANES);
    }
    for (uint16_t o = 0; o < outputs; ++o) {
        current[o] += value * weights[o];
    }
}

/* current[o] += value * weights[at + o] */
static inline void add_weights(int32_t *current, uint16_t outputs, const snn_array *weights,
                               size_t at, int32_t value)
{
    if (weights->type == SNN_I8) {
        add_narrow(current, outputs, (const int8_t *)weights->data + at, value);
    } else {
        for (uint16_t o = 0; o < outputs; ++o) {
            current[o] += value * snn_at(weights, at + o);
        }
    }
}

void snn_add_events(int32_t *current, uint16_t outputs, const void *row, uint8_t type,
                    uint16_t first, uint16_t end, const snn_array *weights, size_t at)
{
    if (type == SNN_BITS) {
        const uint8_t *bytes = row;
        uint32_t c = first;
        while (c < end) {
            const unsigned rest = (unsigned)bytes[c >> 3] >> (c & 7);
            if (rest == 0) {
                c = (c | 7) + 1; /* no spike in the rest of this byte */
                continue;
            }
            if (rest & 1) {
                add_weights(current, outputs, weights, at + (size_t)(c - first) * outputs, 1);
            }
            ++c;
        }
    } else {
        for (uint32_t c = first; c < end; ++c) {
            const int32_t value = snn_get(row, type, c);
            if (value != 0) {
                add_weights(current, outputs, weights, at + (size_t)(c - first) * outputs, value);
            }
        }
    }
}
