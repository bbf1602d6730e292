/* Convolutions and dense layers whose weights are packed: for flash rather than for speed. A row of
 * weights is unpacked once for all windows of a line. */
#include "snn_row.h"
#include "snn_window.h"

#define CHUNK 40 /* weights that are unpacked at once: whole bytes, however many bits each has */
#define PER_BYTE 5 /* ternary weights */

/* Writes the `count` weights that begin with the byte `from`. */
typedef void unpacker(int8_t *to, uint16_t count, const SNN_FLASH uint8_t *from, uint8_t bits);

/* Two's complement of `bits` bits, the first weight in the lowest ones. */
static void unpack_bits(int8_t *to, uint16_t count, const SNN_FLASH uint8_t *from, uint8_t bits)
{
    const uint16_t sign = (uint16_t)(1u << (bits - 1u));
    const uint16_t mask = (uint16_t)(2u * sign - 1u);
    uint16_t held = 0;
    uint8_t left = 0; /* bits of `held` */
    for (uint16_t k = 0; k < count; ++k) {
        if (left < bits) {
            held = (uint16_t)(held | (uint16_t)*from++ << left);
            left = (uint8_t)(left + 8);
        }
        to[k] = (int8_t)((int16_t)((held & mask) ^ sign) - (int16_t)sign);
        held = (uint16_t)(held >> bits);
        left = (uint8_t)(left - bits);
    }
}

/* Five digits -1, 0, 1 in a byte, which is a fraction of 256: 3 times that is the first digit, and
 * what is left of the fraction. */
static void unpack_ternary(int8_t *to, uint16_t count, const SNN_FLASH uint8_t *from, uint8_t bits)
{
    uint16_t rest = 0;
    uint8_t left = 0;
    (void)bits;
    for (uint16_t k = 0; k < count; ++k) {
        if (left == 0) {
            rest = *from++;
            left = PER_BYTE;
        }
        rest = (uint16_t)(3u * (rest & 0xFFu));
        to[k] = (int8_t)((int16_t)(rest >> 8) - 1);
        --left;
    }
}

/* What the windows of a line see through one tap: those that see the source at all, and a chunk of
 * their outputs. */
typedef struct {
    int32_t *current;         /* of the first of these windows */
    const unsigned char *row; /* what it sees */
    size_t row_step;          /* from there to what the next one sees */
    uint16_t first, windows;  /* the column that it sees, and how many there are */
    uint16_t count;           /* outputs of the chunk */
} view;

/* How many windows there are, of `windows`, before the first that has one of the bits of `mask`. */
static uint16_t count_silent(const unsigned char *byte, unsigned mask, size_t row_step,
                             uint16_t windows)
{
    uint16_t count = 0;
    while (count < windows && (*byte & mask) == 0) {
        byte += row_step;
        ++count;
    }
    return count;
}

/* Products fit 16 bits, which are all that `int` may have. */
static void add_products(int32_t *current, const int8_t *weights, uint16_t count, int16_t value)
{
    for (; count >= 4; count = (uint16_t)(count - 4)) {
        current[0] += value * weights[0];
        current[1] += value * weights[1];
        current[2] += value * weights[2];
        current[3] += value * weights[3];
        current += 4;
        weights += 4;
    }
    for (; count > 0; --count) {
        *current++ += value * *weights++;
    }
}

/* What `input`, of a byte or a bit, sends to the chunk, whose weights begin with `from`: they are
 * unpacked if it does. */
static void add_input(const view *seen, const snn_synapse *synapse, size_t input,
                      const SNN_FLASH uint8_t *from, unpacker *unpack)
{
    const snn_packed_op *op = synapse->op;
    const uint8_t type = synapse->source->type;
    const unsigned mask = type == SNN_BITS ? 1u << input % 8 : 0xFFu;
    const unsigned char *byte = seen->row + (type == SNN_BITS ? input / 8 : input);
    int32_t *current = seen->current;
    int8_t weights[CHUNK];
    uint16_t silent = count_silent(byte, mask, seen->row_step, seen->windows);
    uint16_t left = (uint16_t)(seen->windows - silent);
    if (left > 0) {
        unpack(weights, seen->count, from, op->bits);
    }
    while (left > 0) {
        int16_t value = 1;
        byte += silent * seen->row_step;
        current += (size_t)silent * synapse->channels;
        if (type == SNN_U8) {
            value = (int16_t)*byte;
        }
        if (type == SNN_I8) {
            value = (int16_t)*(const int8_t *)byte;
        }
        add_products(current, weights, seen->count, value);
        byte += seen->row_step;
        current += synapse->channels;
        --left;
        silent = count_silent(byte, mask, seen->row_step, left);
        left = (uint16_t)(left - silent);
    }
}

/* The same for inputs of any type, and for those of a depthwise convolution, where every output has one
 * of its own. */
static void add_inputs(const view *seen, const snn_synapse *synapse, size_t input,
                       const SNN_FLASH uint8_t *from, unpacker *unpack)
{
    const snn_packed_op *op = synapse->op;
    const unsigned char *row = seen->row;
    int32_t *current = seen->current;
    int8_t weights[CHUNK];
    unpack(weights, seen->count, from, op->bits);
    for (uint16_t x = seen->windows; x > 0; --x) {
        for (uint16_t o = 0; o < seen->count; ++o) {
            const size_t from_input = op->is_depthwise ? input + o : input;
            current[o] += weights[o] * snn_get(row, synapse->source->type, from_input);
        }
        current += synapse->channels;
        row += seen->row_step;
    }
}

/* Through one tap, whose weights begin with `rows`. */
static void add_tap(const view *all, const snn_synapse *synapse, const SNN_FLASH uint8_t *rows,
                    unpacker *unpack)
{
    const snn_packed_op *op = synapse->op;
    const uint8_t type = synapse->source->type;
    const bool are_narrow = type == SNN_BITS || type == SNN_U8 || type == SNN_I8;
    view seen = *all;
    size_t input = 0;
    for (uint16_t first = 0; first < synapse->channels; first = (uint16_t)(first + op->outputs)) {
        for (uint16_t i = op->inputs; i > 0; --i) {
            const SNN_FLASH uint8_t *from = rows;
            for (uint16_t o = 0; o < op->outputs; o = (uint16_t)(o + seen.count)) {
                const uint16_t left = (uint16_t)(op->outputs - o);
                seen.current = all->current + first + o;
                seen.count = left < CHUNK ? left : CHUNK;
                if (are_narrow && !op->is_depthwise) {
                    add_input(&seen, synapse, input, from, unpack);
                } else {
                    add_inputs(&seen, synapse, op->is_depthwise ? o : input, from, unpack);
                }
                from += op->chunk_bytes;
            }
            rows += op->row_bytes;
            ++input;
        }
    }
}

/* Those windows of line y that see the source through tap (., kx), were all of its rows seen. */
static view view_of(int32_t *line, const snn_synapse *synapse, uint16_t kx)
{
    const snn_packed_op *op = synapse->op;
    const snn_values *source = synapse->source;
    view seen = {.current = line, .row_step = op->window.stride_x * source->row_bytes};
    for (uint16_t x = 0; x < synapse->width; ++x) {
        const int32_t ix = snn_tap_x(&op->window, source, x, kx);
        if (ix == SNN_PADDING) {
            continue;
        }
        if (seen.windows == 0) {
            seen.current += (size_t)x * synapse->channels;
            seen.first = (uint16_t)ix;
        }
        ++seen.windows;
    }
    return seen;
}

static void add_packed(int32_t *line, const snn_synapse *synapse, const unsigned char *plane,
                       uint16_t y, unpacker *unpack)
{
    const snn_packed_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const size_t tap_bytes = (size_t)op->inputs * op->groups * op->row_bytes;

    for (uint16_t kx = 0; kx < window->kernel_width; ++kx) {
        view seen = view_of(line, synapse, kx);
        for (uint16_t ky = 0; ky < window->kernel_height; ++ky) {
            const int32_t iy = snn_tap_y(window, source, y, ky);
            if (iy != SNN_PADDING && seen.windows > 0) {
                const size_t tap = (size_t)ky * window->kernel_width + kx;
                seen.row = plane + snn_row_offset(source, (uint16_t)iy, seen.first);
                add_tap(&seen, synapse, op->weights + tap * tap_bytes, unpack);
            }
        }
    }
}

void snn_packed(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    add_packed(line, synapse, plane, y, unpack_bits);
}

void snn_ternary(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    add_packed(line, synapse, plane, y, unpack_ternary);
}
