#include "snn_bits.h"
#include "snn_row.h"

void snn_clear(void *to, size_t bytes)
{
    unsigned char *byte = to;
    if ((uintptr_t)to % SNN_ARENA_ALIGNMENT == 0) {
        uint32_t *word = to;
        for (; bytes >= 32; bytes -= 32) {
            word[0] = 0, word[1] = 0, word[2] = 0, word[3] = 0;
            word[4] = 0, word[5] = 0, word[6] = 0, word[7] = 0;
            word += 8;
        }
        byte = (unsigned char *)word;
    }
    if (bytes % 2 != 0) {
        *byte++ = 0;
    }
    for (bytes /= 2; bytes > 0; --bytes) {
        byte[0] = 0, byte[1] = 0;
        byte += 2;
    }
}

void snn_copy_words(int32_t *to, const int32_t *from, size_t count)
{
    for (; count >= 4; count -= 4) {
        to[0] = from[0];
        to[1] = from[1];
        to[2] = from[2];
        to[3] = from[3];
        to += 4;
        from += 4;
    }
    for (; count > 0; --count) {
        *to++ = *from++;
    }
}

void snn_get_row(int32_t *to, const void *row, uint8_t type, size_t count)
{
    switch (type) { /* once, not for every element */
    case SNN_BITS:
        for (size_t i = 0; i < count; ++i) {
            to[i] = snn_get(row, SNN_BITS, i);
        }
        break;
    case SNN_U8:
        for (size_t i = 0; i < count; ++i) {
            to[i] = ((const uint8_t *)row)[i];
        }
        break;
    case SNN_I8:
        for (size_t i = 0; i < count; ++i) {
            to[i] = ((const int8_t *)row)[i];
        }
        break;
    case SNN_I16:
        for (size_t i = 0; i < count; ++i) {
            to[i] = ((const int16_t *)row)[i];
        }
        break;
    default:
        snn_copy_words(to, row, count);
        break;
    }
}

void snn_get_array(int32_t *to, const snn_array *array, size_t count)
{
    if (array->data == NULL) {
        snn_clear(to, count * sizeof *to);
        return;
    }
#if SNN_FLASH_IS_APART
    for (size_t i = 0; i < count; ++i) {
        to[i] = snn_at(array, i);
    }
#else
    snn_get_row(to, array->data, array->type, count);
#endif
}

static void put_bits(uint8_t *row, size_t count, const int32_t *from)
{
    for (; count >= 8; count -= 8) {
        uint32_t bits = 0;
        for (unsigned k = 0; k < 8; ++k) {
            bits |= (uint32_t)from[k] << k;
        }
        *row++ = (uint8_t)bits;
        from += 8;
    }
    if (count > 0) {
        uint32_t bits = 0;
        for (unsigned k = 0; k < count; ++k) {
            bits |= (uint32_t)from[k] << k;
        }
        *row = (uint8_t)bits;
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
        snn_copy_words(row, from, count);
        break;
    }
}

/* Whether rows leave no bits unused, so that a line is like one long row. */
static bool is_dense(const snn_values *values)
{
    return values->type != SNN_BITS || values->channels % 8 == 0;
}

void snn_get_line(int32_t *to, const unsigned char *rows, const snn_values *values)
{
    const bool dense = is_dense(values);
    const size_t count = dense ? (size_t)values->width * values->channels : values->channels;
    const uint16_t rows_apart = dense ? 1 : values->width;
    for (uint16_t x = 0; x < rows_apart; ++x) {
        snn_get_row(to + (size_t)x * count, rows + x * values->row_bytes, values->type, count);
    }
}

void snn_put_line(unsigned char *rows, const snn_values *values, const int32_t *from)
{
    const bool dense = is_dense(values);
    const size_t count = dense ? (size_t)values->width * values->channels : values->channels;
    const uint16_t rows_apart = dense ? 1 : values->width;
    for (uint16_t x = 0; x < rows_apart; ++x) {
        snn_put_row(rows + x * values->row_bytes, values->type, count, from + (size_t)x * count);
    }
}

void snn_add_row(int32_t *restrict current, const void *restrict row, uint8_t type, size_t count)
{
    switch (type) {
    case SNN_BITS:
        for (const uint8_t *bytes = row, *end = bytes + (count + 7) / 8; bytes < end; ++bytes) {
            for (unsigned bits = *bytes; bits != 0; bits &= bits - 1) {
                ++current[snn_lowest_bit(bits)];
            }
            current += 8;
        }
        break;
    case SNN_U8:
        for (size_t i = 0; i < count; ++i) {
            current[i] += ((const uint8_t *)row)[i];
        }
        break;
    case SNN_I8:
        for (size_t i = 0; i < count; ++i) {
            current[i] += ((const int8_t *)row)[i];
        }
        break;
    default:
        for (size_t i = 0; i < count; ++i) {
            current[i] += snn_get(row, type, i);
        }
        break;
    }
}

static void add_products_8(int32_t *restrict current, const int8_t *restrict row, size_t count,
                           const SNN_FLASH int8_t *restrict weights)
{
    for (size_t i = 0; i < count; ++i) {
        current[i] += (int32_t)weights[i] * row[i];
    }
}

#if SNN_HAS_VECTORS
/* The same for shortcuts of counts; elsewhere not worth its code. */
static void add_products_of_counts(int32_t *restrict current, const uint8_t *restrict row,
                                   size_t count, const SNN_FLASH int16_t *restrict weights)
{
    for (size_t i = 0; i < count; ++i) {
        current[i] += (int32_t)weights[i] * row[i];
    }
}
#endif

void snn_add_products(int32_t *current, const void *row, uint8_t type, size_t count,
                      const snn_array *weights, size_t at)
{
#if SNN_HAS_VECTORS
    if (weights->type == SNN_I16 && type == SNN_U8) {
        add_products_of_counts(current, row, count, (const SNN_FLASH int16_t *)weights->data + at);
        return;
    }
#endif
    if (weights->type == SNN_I8 && type == SNN_I8) {
        add_products_8(current, row, count, (const SNN_FLASH int8_t *)weights->data + at);
        return;
    }
    if (type == SNN_BITS) {
        for (size_t i = 0; i < count; i += 8) {
            for (unsigned bits = ((const uint8_t *)row)[i >> 3]; bits != 0; bits &= bits - 1) {
                const size_t c = i + snn_lowest_bit(bits);
                current[c] += snn_at(weights, at + c);
            }
        }
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        current[i] += snn_at(weights, at + i) * snn_get(row, type, i);
    }
}

#define LANES 8 /* a constant number of turns, which compilers make into vectors or unroll */

/* current[o] += value * weights[o], for the usual 8-bit weights */
static inline void add_narrow(int32_t *restrict current, uint16_t outputs,
                              const SNN_FLASH int8_t *restrict weights, int32_t value)
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
        add_narrow(current, outputs, (const SNN_FLASH int8_t *)weights->data + at, value);
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
            if ((rest & 1) != 0) {
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
