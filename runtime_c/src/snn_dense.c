/* Convolutions that take every input, for processors with vectors: two inputs meet the weights of as
 * many outputs as a vector has lanes, in one instruction.
 *
 * The rows of the source that a line's windows see lie in a ring, as numbers of 16 bits between the
 * zeros of the padding: what a window sees of a row is contiguous, and taken two by two. Four windows
 * share each vector of weights.
 *
 *     row of the source    0  0  a0 a1 b0 b1 c0 c1 d0 d1  0  0     two channels, padding of one
 *     window 0           [       .       .       ]
 *     window 1                 [       .       .       ]
 */
#include "snn_vector.h"
#include "snn_window.h"

#define WIDE 16 /* outputs of a block, but for a last one of NARROW */
#define NARROW 8

/* What windows see, from the first of them on. */
typedef struct {
    const int16_t *ring, *end; /* of rows */
    const int16_t *first;      /* the first row they see, within the ring */
    size_t at;                 /* where the first window begins in a row */
    size_t step;               /* from a window to the next */
    size_t row;                /* from a row to the next */
    size_t rows, pairs;        /* that a window sees, and of numbers in each */
} view;

/* Two vectors of weights or one, for each pair, and what they are for. */
typedef struct {
    const SNN_FLASH int32_t *weights;
    size_t pitch;    /* from those of a pair to those of the next */
    size_t outputs;  /* left, from the first of them on */
    size_t channels; /* of the line */
} block;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of a row of the source in the ring: padded, with room for the half of a last pair, whole words. */
static size_t row_numbers(const snn_synapse *synapse)
{
    const snn_dense_op *op = synapse->op;
    const size_t columns = snn_columns_seen(&op->window, synapse->source, synapse->width);
    return (columns * synapse->source->channels / 2 + 1) * 2;
}

/* A line of the source. */
static void widen(int16_t *to, const unsigned char *rows, const snn_values *source)
{
    const size_t channels = source->channels, count = channels * source->width;
    if (source->type == SNN_U8) {
        size_t i = 0;
        for (; i + 16 <= count; i += 16) {
            snn_widen_16(to + i, rows + i);
        }
        for (; i < count; ++i) {
            to[i] = rows[i];
        }
        return;
    }
    for (uint16_t x = 0; x < source->width; ++x) {
        for (size_t c = 0; c < channels; ++c) {
            *to++ = (int16_t)snn_get(rows, source->type, c);
        }
        rows += source->row_bytes;
    }
}

void snn_widen(const snn_synapse *synapse, unsigned char *prepared, const unsigned char *plane,
               uint16_t y)
{
    const snn_dense_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const size_t left = (size_t)window->pad_left * source->channels;
    const size_t right = left + (size_t)source->width * source->channels;
    const size_t numbers = row_numbers(synapse);
    const int32_t top = (int32_t)y * window->stride_y - window->pad_top;
    const int32_t end = top + window->kernel_height;
    const int32_t known = y == 0 ? 0 : end - window->stride_y; /* these rows were there before */

    for (int32_t iy = known > top ? known : top; iy < end && iy < source->height; ++iy) {
        if (iy >= 0) {
            const size_t slot = (size_t)iy % window->kernel_height;
            int16_t *to = (int16_t *)(void *)prepared + slot * numbers;
            (void)memset(to, 0, left * sizeof *to);
            widen(to + left, plane + snn_row_offset(source, (uint16_t)iy, 0), source);
            (void)memset(to + right, 0, (numbers - right) * sizeof *to);
        }
    }
}

static const int16_t *row_after(const view *seen, const int16_t *row)
{
    return row + seen->row < seen->end ? row + seen->row : seen->ring;
}

static inline void add_to(int32_t *to, snn_vector sums)
{
    snn_store(to, snn_sum(snn_load(to), sums));
}

/* Adds the sums of one window. */
static inline void add_sums(int32_t *to, size_t outputs, snn_vector sums)
{
    if (outputs >= SNN_LANES) {
        add_to(to, sums);
    } else {
        int32_t each[SNN_LANES];
        snn_store(each, sums);
        for (size_t o = 0; o < outputs; ++o) {
            to[o] += each[o];
        }
    }
}

static inline void add_both_sums(int32_t *to, size_t outputs, snn_vector first, snn_vector second)
{
    add_sums(to, outputs, first);
    if (outputs > SNN_LANES) {
        add_sums(to + SNN_LANES, outputs - SNN_LANES, second);
    }
}

/* Four windows, two vectors of outputs. */
static void add_4_by_2(int32_t *to, const view *seen, const block *of)
{
    const snn_vector none = snn_vector_of(0);
    snn_vector a0 = none, b0 = none, c0 = none, d0 = none;
    snn_vector a1 = none, b1 = none, c1 = none, d1 = none;
    const size_t step = seen->step, pitch = of->pitch, channels = of->channels;
    const SNN_FLASH int32_t *weights = of->weights;
    const int16_t *row = seen->first;

    for (size_t k = seen->rows; k > 0; --k) {
        const int16_t *a = row + seen->at;
        for (size_t p = seen->pairs; p > 0; --p) {
            const snn_vector w0 = snn_load_parameters(weights), w1 = snn_load_parameters(weights + SNN_LANES);
            const int16_t *const c = a + 2 * step;
            snn_vector pair = snn_same_pair(a);
            a0 = snn_add_pair_products(a0, w0, pair), a1 = snn_add_pair_products(a1, w1, pair);
            pair = snn_same_pair(a + step);
            b0 = snn_add_pair_products(b0, w0, pair), b1 = snn_add_pair_products(b1, w1, pair);
            pair = snn_same_pair(c);
            c0 = snn_add_pair_products(c0, w0, pair), c1 = snn_add_pair_products(c1, w1, pair);
            pair = snn_same_pair(c + step);
            d0 = snn_add_pair_products(d0, w0, pair), d1 = snn_add_pair_products(d1, w1, pair);
            a += 2;
            weights += pitch;
        }
        row = row_after(seen, row);
    }
    add_both_sums(to, of->outputs, a0, a1);
    add_both_sums(to + channels, of->outputs, b0, b1);
    add_both_sums(to + 2 * channels, of->outputs, c0, c1);
    add_both_sums(to + 3 * channels, of->outputs, d0, d1);
}

static void add_1_by_2(int32_t *to, const view *seen, const block *of)
{
    snn_vector a0 = snn_vector_of(0), a1 = a0;
    const SNN_FLASH int32_t *weights = of->weights;
    const int16_t *row = seen->first;

    for (size_t k = seen->rows; k > 0; --k) {
        const int16_t *a = row + seen->at;
        for (size_t p = seen->pairs; p > 0; --p) {
            const snn_vector pair = snn_same_pair(a);
            a0 = snn_sum(a0, snn_pair_products(snn_load_parameters(weights), pair));
            a1 = snn_sum(a1, snn_pair_products(snn_load_parameters(weights + SNN_LANES), pair));
            a += 2;
            weights += of->pitch;
        }
        row = row_after(seen, row);
    }
    add_both_sums(to, of->outputs, a0, a1);
}

static void add_4_by_1(int32_t *to, const view *seen, const block *of)
{
    snn_vector a0 = snn_vector_of(0), b0 = a0, c0 = a0, d0 = a0;
    const size_t step = seen->step, channels = of->channels;
    const SNN_FLASH int32_t *weights = of->weights;
    const int16_t *row = seen->first;

    for (size_t k = seen->rows; k > 0; --k) {
        const int16_t *a = row + seen->at;
        for (size_t p = seen->pairs; p > 0; --p) {
            const snn_vector w = snn_load_parameters(weights);
            const int16_t *const c = a + 2 * step;
            a0 = snn_sum(a0, snn_pair_products(w, snn_same_pair(a)));
            b0 = snn_sum(b0, snn_pair_products(w, snn_same_pair(a + step)));
            c0 = snn_sum(c0, snn_pair_products(w, snn_same_pair(c)));
            d0 = snn_sum(d0, snn_pair_products(w, snn_same_pair(c + step)));
            a += 2;
            weights += of->pitch;
        }
        row = row_after(seen, row);
    }
    add_sums(to, of->outputs, a0);
    add_sums(to + channels, of->outputs, b0);
    add_sums(to + 2 * channels, of->outputs, c0);
    add_sums(to + 3 * channels, of->outputs, d0);
}

static void add_1_by_1(int32_t *to, const view *seen, const block *of)
{
    snn_vector a0 = snn_vector_of(0);
    const SNN_FLASH int32_t *weights = of->weights;
    const int16_t *row = seen->first;

    for (size_t k = seen->rows; k > 0; --k) {
        const int16_t *a = row + seen->at;
        for (size_t p = seen->pairs; p > 0; --p) {
            a0 = snn_sum(a0, snn_pair_products(snn_load_parameters(weights), snn_same_pair(a)));
            a += 2;
            weights += of->pitch;
        }
        row = row_after(seen, row);
    }
    add_sums(to, of->outputs, a0);
}

/* All `count` windows of a line, for one or two vectors of outputs. */
static void add_windows(int32_t *to, size_t count, view seen, const block *of)
{
    const bool two = of->pitch > SNN_LANES;
    for (; count >= 4; count -= 4) {
        (two ? add_4_by_2 : add_4_by_1)(to, &seen, of);
        seen.at += 4 * seen.step;
        to += 4 * of->channels;
    }
    for (; count > 0; --count) {
        (two ? add_1_by_2 : add_1_by_1)(to, &seen, of);
        seen.at += seen.step;
        to += of->channels;
    }
}

/* What the windows of line y see, from row `above` of theirs on: the first within the source. */
static view view_of(const snn_synapse *synapse, const unsigned char *prepared, uint16_t y,
                    size_t *above)
{
    const snn_dense_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const int32_t top = (int32_t)y * window->stride_y - window->pad_top;
    const int32_t bottom = top + window->kernel_height;
    const int32_t begin = top > 0 ? top : 0;
    const int32_t end = bottom < source->height ? bottom : source->height;
    const int16_t *ring = (const int16_t *)(const void *)prepared;
    const size_t numbers = row_numbers(synapse);
    const view seen = {
        .ring = ring,
        .end = ring + (size_t)window->kernel_height * numbers,
        .first = ring + (size_t)begin % window->kernel_height * numbers,
        .step = (size_t)window->stride_x * source->channels,
        .row = numbers,
        .rows = end > begin ? (size_t)(end - begin) : 0,
        .pairs = ((size_t)window->kernel_width * source->channels + 1) / 2,
    };
    *above = (size_t)(begin - top);
    return seen;
}

void snn_dense(int32_t *line, const snn_synapse *synapse, const unsigned char *prepared, uint16_t y)
{
    const snn_dense_op *op = synapse->op;
    const size_t channels = synapse->channels;
    const SNN_FLASH int32_t *weights = op->weights;
    size_t above;
    const view seen = view_of(synapse, prepared, y, &above);

    if (seen.rows == 0) {
        return;
    }
    for (size_t first = 0; first < channels; first += WIDE) {
        const size_t pitch = channels - first > NARROW ? WIDE : NARROW;
        const size_t step = smaller(2 * (size_t)SNN_LANES, pitch);
        const size_t end = smaller(first + pitch, channels);
        const SNN_FLASH int32_t *begin = weights + above * seen.pairs * pitch;
        for (size_t o = first; o < end; o += step) {
            const block of = {begin, pitch, channels - o, channels};
            add_windows(line + o, synapse->width, seen, &of);
            begin += step;
        }
        weights += (size_t)op->window.kernel_height * seen.pairs * pitch;
    }
}
