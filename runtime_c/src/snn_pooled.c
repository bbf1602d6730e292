#include "snn_pooled.h"

#include "snn_bits.h"
#include "snn_report.h"
#include "snn_row.h"

/* to[i] += from[i], and the next position's where `two`; of every window in a line. */
static inline void add_columns(const snn_pooled *pooled, uint32_t *to, const uint32_t *from,
                               bool two)
{
    const size_t words = pooled->output->channels / 4u;
    const size_t others = (pooled->width - (size_t)1) * words;
    for (uint16_t x = pooled->output->width; x > 0; --x) {
        for (size_t i = words; i > 0; --i) {
            *to++ += two ? from[0] + from[words] : from[0];
            ++from;
        }
        from += others;
    }
}

/* A line of bytes into one of bytes: sums. They provably fit a byte, so that four fit a word, at which
 * both lines begin. */
static void add_words(const snn_pooled *pooled, uint32_t *to, const uint32_t *from, bool is_first)
{
    const size_t words = pooled->output->channels / 4u;
    uint16_t kx = 0;
    if (is_first) {
        snn_clear(to, pooled->output->width * words * sizeof *to);
    }
    for (; kx + 1 < pooled->width; kx = (uint16_t)(kx + 2)) {
        add_columns(pooled, to, from + kx * words, true);
    }
    if (kx < pooled->width) {
        add_columns(pooled, to, from + kx * words, false);
    }
}

/* Bytes where channels do not fill words, or for maxima. */
static void pool_bytes(const snn_pooled *pooled, uint8_t *to, const uint8_t *from, bool is_first)
{
    const size_t channels = pooled->output->channels;
    for (uint16_t x = 0; x < pooled->output->width; ++x) {
        for (size_t i = 0; i < channels; ++i) {
            uint8_t result = is_first ? 0 : *to;
            for (size_t k = 0; k < pooled->width; ++k) {
                const uint8_t value = from[k * channels];
                if (!pooled->takes_maximum) {
                    result = (uint8_t)(result + value);
                } else {
                    result = result < value ? value : result;
                }
            }
            *to++ = result;
            ++from;
        }
        from += (pooled->width - (size_t)1) * channels;
    }
}

/* Spikes, eight channels in a byte, into bytes: sums. */
static void add_bits(const snn_pooled *pooled, uint8_t *to, const uint8_t *from, bool is_first)
{
    const size_t channels = pooled->output->channels, bytes = (channels + 7) / 8;
    if (is_first) {
        snn_clear(to, pooled->output->width * channels);
    }
    for (uint16_t x = pooled->output->width; x > 0; --x) {
        const uint8_t *const end = from + pooled->width * bytes;
        for (size_t at = 0; from < end; ++from) {
            for (unsigned bits = *from; bits != 0; bits &= bits - 1) {
                ++to[at + snn_lowest_bit(bits)];
            }
            at = at + 8 < channels ? at + 8 : 0;
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
    const bool bytes = source->type == SNN_U8 && output->type == SNN_U8;
    if (source->type == SNN_BITS && output->type == SNN_U8) {
        add_bits(pooled, to, rows, ky == 0);
    } else if (bytes && !pooled->takes_maximum && output->channels % 4 == 0) {
        add_words(pooled, (uint32_t *)(void *)to, (const uint32_t *)(const void *)rows, ky == 0);
    } else if (bytes) {
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
