#include "snn_pooled.h"

#include <string.h>

#include "snn_report.h"
#include "snn_row.h"

/* Both begin at a multiple of 4 bytes. Sums provably fit a byte, so that four fit a word. */
static void add_bytes(unsigned char *to, const unsigned char *from, size_t count)
{
    if (count % 4 == 0) {
        uint32_t *sums = (uint32_t *)(void *)to;
        const uint32_t *words = (const uint32_t *)(const void *)from;
        for (; count > 0; count -= 4) {
            *sums++ += *words++;
        }
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        to[i] = (unsigned char)(to[i] + from[i]);
    }
}

static void raise_bytes(unsigned char *to, const unsigned char *from, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = to[i] < from[i] ? from[i] : to[i];
    }
}

/* A line of bytes into one of bytes; `is_first` of its windows. */
static void pool_bytes(const snn_pooled *pooled, unsigned char *to, const unsigned char *rows,
                       bool is_first)
{
    const size_t channels = pooled->output->channels;
    for (uint16_t x = 0; x < pooled->output->width; ++x) {
        for (uint16_t kx = 0; kx < pooled->width; ++kx) {
            if (is_first && kx == 0) {
                memcpy(to, rows, channels);
            } else if (pooled->takes_maximum) {
                raise_bytes(to, rows, channels);
            } else {
                add_bytes(to, rows, channels);
            }
            rows += channels;
        }
        to += channels;
    }
}

static void raise_row(int32_t *current, const void *row, uint8_t type, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const int32_t value = snn_get(row, type, i);
        current[i] = current[i] < value ? value : current[i];
    }
}

/* The same for values of any type. */
static void pool_values(const snn_pooled *pooled, const snn_values *source, int32_t *scratch,
                        unsigned char *to, const unsigned char *rows, bool is_first)
{
    const snn_values *output = pooled->output;
    int32_t *current = scratch;
    if (!is_first) {
        snn_get_line(scratch, to, output);
    }
    for (uint16_t x = 0; x < output->width; ++x) {
        for (uint16_t kx = 0; kx < pooled->width; ++kx) {
            if (is_first && kx == 0) {
                snn_get_row(current, rows, source->type, source->channels);
            } else if (pooled->takes_maximum) {
                raise_row(current, rows, source->type, source->channels);
            } else {
                snn_add_row(current, rows, source->type, source->channels);
            }
            rows += source->row_bytes;
        }
        current += source->channels;
    }
    snn_put_line(to, output, scratch);
}

void snn_pool_line(const snn_layer *layer, const snn_call *call, int32_t *scratch,
                   const unsigned char *rows, uint16_t t, uint16_t y)
{
    const snn_pooled *pooled = layer->pooled;
    const snn_values *output = pooled->output, *source = layer->output;
    const uint16_t line = (uint16_t)(y / pooled->height), ky = (uint16_t)(y % pooled->height);

    if (line >= output->height) { /* windows that would not be full are left out */
        return;
    }
    unsigned char *to = snn_plane(call->arena, output, t) + snn_row_offset(output, line, 0);
    if (source->type == SNN_U8 && output->type == SNN_U8) {
        pool_bytes(pooled, to, rows, ky == 0);
    } else {
        pool_values(pooled, source, scratch, to, rows, ky == 0);
    }
    if (call->trace != NULL && ky == pooled->height - 1) {
        const uint32_t count = (uint32_t)output->width * output->channels;
        const snn_step step = {
            .layer = pooled->number,
            .timestep = t,
            .count = count,
            .neuron = line * count,
            .outputs = scratch,
        };
        snn_get_line(scratch, to, output);
        snn_report(call, &step, layer->is_constant);
    }
}
