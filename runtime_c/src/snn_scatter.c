/* Convolutions that send each event to the sums of all outputs that it reaches.
 *
 * What an event adds to one line is a contiguous run: the weights of its channel for neighbouring
 * outputs, two in a word. The sums of a line are complete when its turn comes; the lines that the
 * last inputs reach further down stay open, in a ring.
 *
 *     event in column 2, kernel 3 wide     sums of a line   x=0 | x=1   x=2   x=3 | x=4
 *                                                               | w[2]  w[1]  w[0]|
 *
 * With a stride, only every stride-th tap of an event falls on an output; taps are stored so that
 * those which do are neighbours.
 */
#include <string.h>

#include "snn_bits.h"
#include "snn_pairs.h"
#include "snn_row.h"
#include "snn_window.h"

#define MOST_LINES 8 /* that an event reaches */

/* The runs of one column of inputs: in each line reached, where they begin and how long they are. */
typedef struct {
    uint32_t *sums[MOST_LINES];
    const SNN_FLASH int32_t *weights[MOST_LINES]; /* of channel 0 */
    uint16_t lines;
    size_t to;     /* word of the lines' sums where the run begins */
    size_t from;   /* word of the weights */
    size_t length; /* in words */
    size_t step;   /* from the weights of a channel to those of the next */
} runs;

static void add_run(uint32_t *restrict sums, const SNN_FLASH int32_t *restrict weights,
                    size_t length)
{
    for (; length >= 8; length -= 8) {
        sums[0] += (uint32_t)weights[0];
        sums[1] += (uint32_t)weights[1];
        sums[2] += (uint32_t)weights[2];
        sums[3] += (uint32_t)weights[3];
        sums[4] += (uint32_t)weights[4];
        sums[5] += (uint32_t)weights[5];
        sums[6] += (uint32_t)weights[6];
        sums[7] += (uint32_t)weights[7];
        sums += 8;
        weights += 8;
    }
    for (; length > 0; --length) {
        *sums++ += (uint32_t)*weights++;
    }
}

static void add_run_times(uint32_t *restrict sums, const SNN_FLASH int32_t *restrict weights,
                          size_t length, uint32_t count)
{
    for (; length >= 8; length -= 8) {
        sums[0] += (uint32_t)weights[0] * count;
        sums[1] += (uint32_t)weights[1] * count;
        sums[2] += (uint32_t)weights[2] * count;
        sums[3] += (uint32_t)weights[3] * count;
        sums[4] += (uint32_t)weights[4] * count;
        sums[5] += (uint32_t)weights[5] * count;
        sums[6] += (uint32_t)weights[6] * count;
        sums[7] += (uint32_t)weights[7] * count;
        sums += 8;
        weights += 8;
    }
    for (; length > 0; --length) {
        *sums++ += (uint32_t)*weights++ * count;
    }
}

static void scatter_event(const runs *to, size_t channel, int32_t count)
{
    const size_t from = to->from + channel * to->step;
    for (uint16_t k = 0; k < to->lines; ++k) {
        if (count == 1) {
            add_run(to->sums[k] + to->to, to->weights[k] + from, to->length);
        } else {
            add_run_times(to->sums[k] + to->to, to->weights[k] + from, to->length,
                          (uint32_t)count);
        }
    }
}

static void scatter_position(const runs *to, const unsigned char *row, const snn_values *source)
{
    if (source->type == SNN_BITS) {
        for (uint16_t c = 0; c < source->channels; c = (uint16_t)(c + 8)) {
            for (unsigned bits = row[c >> 3]; bits != 0; bits &= bits - 1) {
                scatter_event(to, c + snn_lowest_bit(bits), 1);
            }
        }
        return;
    }
    for (uint16_t c = 0; c < source->channels; ++c) {
        const int32_t count = snn_get(row, source->type, c);
        if (count != 0) {
            scatter_event(to, c, count);
        }
    }
}

/* Which lines input line `iy` reaches. */
static void reach_lines(runs *to, const snn_synapse *synapse, uint32_t *sums, uint16_t iy)
{
    const snn_scatter_op *op = synapse->op;
    const snn_window *window = &op->window;
    const size_t taps = (size_t)window->kernel_width * synapse->source->channels * op->words;
    const uint16_t below = (uint16_t)(iy + window->pad_top);

    to->lines = 0;
    for (uint16_t ky = below % window->stride_y; ky <= below && ky < window->kernel_height;
         ky = (uint16_t)(ky + window->stride_y)) {
        const uint16_t y = (uint16_t)((below - ky) / window->stride_y);
        if (y < op->height) {
            to->sums[to->lines] = sums + (size_t)(y % op->lines) * synapse->width * op->words;
            to->weights[to->lines] = op->weights + ky * taps;
            ++to->lines;
        }
    }
}

/* Sends on what line `iy` of `plane` holds. */
static void scatter_line(runs *to, const snn_synapse *synapse, const unsigned char *row)
{
    const snn_scatter_op *op = synapse->op;
    const snn_window *window = &op->window;
    const uint16_t stride = window->stride_x;
    const uint16_t full = window->kernel_width / stride, rest = window->kernel_width % stride;
    const size_t channel_words = (size_t)synapse->source->channels * op->words;
    uint16_t phase = window->pad_left % stride;
    int32_t last = window->pad_left / stride; /* the output that tap `phase` falls on */

    for (uint16_t ix = 0; ix < synapse->source->width; ++ix) {
        const uint16_t taps = (uint16_t)(full + (phase < rest));
        const uint16_t before = (uint16_t)(phase * full + (phase < rest ? phase : rest));
        const int32_t first = last - taps + 1;
        const int32_t begin = first < 0 ? 0 : first;
        const int32_t end = last < synapse->width ? last + 1 : synapse->width;
        if (begin < end) {
            to->to = (size_t)begin * op->words;
            to->from = before * channel_words + (size_t)(begin - first) * op->words;
            to->length = (size_t)(end - begin) * op->words;
            to->step = (size_t)taps * op->words;
            scatter_position(to, row, synapse->source);
        }
        row += synapse->source->row_bytes;
        if (++phase == stride) {
            phase = 0;
            ++last;
        }
    }
}

void snn_scatter(const snn_synapse *synapse, unsigned char *prepared, const unsigned char *plane,
                 uint16_t y)
{
    const snn_scatter_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const size_t line_words = (size_t)synapse->width * op->words;
    uint32_t *sums = (uint32_t *)(void *)prepared;
    const int32_t end = (int32_t)y * window->stride_y - window->pad_top + window->kernel_height;
    int32_t iy = y == 0 ? 0 : end - window->stride_y; /* the lines above were sent on before */

    if (y == 0) {
        (void)memset(sums, 0, op->lines * line_words * sizeof *sums);
    } else { /* the line before was read, its sums are now those of a line further down */
        (void)memset(sums + (size_t)((y - 1) % op->lines) * line_words, 0, line_words * sizeof *sums);
    }
    for (iy = iy < 0 ? 0 : iy; iy < end && iy < source->height; ++iy) {
        runs to;
        reach_lines(&to, synapse, sums, (uint16_t)iy);
        if (to.lines > 0) {
            scatter_line(&to, synapse, plane + snn_row_offset(source, (uint16_t)iy, 0));
        }
    }
}

static void unpack(int32_t *restrict current, size_t outputs, const uint32_t *restrict sums)
{
    for (size_t k = 0; k < outputs / 2; ++k) {
        current[2 * k] += snn_low(sums[k]);
        current[2 * k + 1] += snn_high(sums[k]);
    }
    if (outputs % 2 != 0) {
        current[outputs - 1] += snn_low(sums[outputs / 2]);
    }
}

void snn_scattered(int32_t *line, const snn_synapse *synapse, const unsigned char *prepared,
                   uint16_t y)
{
    const snn_scatter_op *op = synapse->op;
    const uint32_t *sums = (const uint32_t *)(const void *)prepared
                           + (size_t)(y % op->lines) * synapse->width * op->words;
    if (synapse->channels == 2 * op->words) {
        unpack(line, (size_t)synapse->width * synapse->channels, sums);
        return;
    }
    for (uint16_t x = 0; x < synapse->width; ++x) {
        unpack(line + (size_t)x * synapse->channels, synapse->channels, sums);
        sums += op->words;
    }
}
