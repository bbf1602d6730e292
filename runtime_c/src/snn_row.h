/* snn_row.h - rows of values and parameters, whatever their type: the inner loops of the runtime. */
#ifndef SNN_ROW_H
#define SNN_ROW_H

#include "snn_model.h"

/* Element `index` of `row`, which holds elements of `type`. */
static inline int32_t snn_get(const void *row, uint8_t type, size_t index)
{
    switch (type) {
    case SNN_BITS: return (((const uint8_t *)row)[index >> 3] >> (index & 7)) & 1;
    case SNN_U8: return ((const uint8_t *)row)[index];
    case SNN_I8: return ((const int8_t *)row)[index];
    case SNN_I16: return ((const int16_t *)row)[index];
    default: return ((const int32_t *)row)[index];
    }
}

/* Element `index` of an array of parameters. */
static inline int32_t snn_at(const snn_array *array, size_t index)
{
    switch (array->type) {
    case SNN_U8: return ((const SNN_FLASH uint8_t *)array->data)[index];
    case SNN_I8: return ((const SNN_FLASH int8_t *)array->data)[index];
    case SNN_I16: return ((const SNN_FLASH int16_t *)array->data)[index];
    default: return ((const SNN_FLASH int32_t *)array->data)[index];
    }
}

/* The row of `position` in a plane of `values`. */
static inline size_t snn_row_offset(const snn_values *values, uint16_t y, uint16_t x)
{
    return ((size_t)y * values->width + x) * values->row_bytes;
}

/* The plane of timestep `t`. */
static inline unsigned char *snn_plane(unsigned char *arena, const snn_values *values, uint16_t t)
{
    const size_t plane = values->planes > 1 ? t : 0;
    return arena + values->offset + plane * values->plane_bytes;
}

/* For memset, which is a loop over bytes in small libraries. */
void snn_clear(void *to, size_t bytes);

/* In ascending order, so that what was just written is copied on where they overlap. For memcpy, which
 * is a loop over bytes in small libraries. */
void snn_copy_words(int32_t *to, const int32_t *from, size_t count);

/* Widens `count` elements to 32 bits. */
void snn_get_row(int32_t *to, const void *row, uint8_t type, size_t count);

/* Like snn_get_row, with zeros for an array that is NULL. */
void snn_get_array(int32_t *to, const snn_array *array, size_t count);

/* Narrows `count` values, which must fit, to `type`. */
void snn_put_row(void *row, uint8_t type, size_t count, const int32_t *from);

/* The same for a line, whose rows lie one after the other at `rows`. */
void snn_get_line(int32_t *to, const unsigned char *rows, const snn_values *values);
void snn_put_line(unsigned char *rows, const snn_values *values, const int32_t *from);

/* current[c] += row[c] */
void snn_add_row(int32_t *restrict current, const void *restrict row, uint8_t type, size_t count);

/* current[c] += weights[at + c] * row[c] */
void snn_add_products(int32_t *current, const void *row, uint8_t type, size_t count,
                      const snn_array *weights, size_t at);

/* For every c in first <= c < end whose row[c] is not 0, which sparse spikes make rare:
 *
 *     current[o] += row[c] * weights[at + (c - first) * outputs + o]    for all o < outputs */
void snn_add_events(int32_t *current, uint16_t outputs, const void *row, uint8_t type,
                    uint16_t first, uint16_t end, const snn_array *weights, size_t at);

#endif
