/* Convolutions by events, two 16-bit sums in a word. */
#include "snn_bytes.h"
#include "snn_eights.h"
#include "snn_events.h"
#include "snn_window.h"

#define MOST_ROWS 8 /* of a window at once */

static inline size_t word_bytes(const snn_lanes_op *op)
{
    /* cppcheck-suppress duplicateValueTernary ; the same but on AVR */
    return op->has_pairs ? sizeof(snn_pair) : sizeof(int32_t);
}

/* From the weights of a column to those of the next, in bytes. */
static uintptr_t column_bytes(const snn_synapse *synapse)
{
    const snn_lanes_op *op = synapse->op;
    return (uintptr_t)synapse->source->channels * op->words * word_bytes(op);
}

/* Where the weights of an event in column 0, channel 0 would be for the first window of a line, from its
 * row `ky` on. */
static uintptr_t origin_of(const snn_synapse *synapse, uint16_t ky)
{
    const snn_lanes_op *op = synapse->op;
    const uintptr_t column = (uintptr_t)ky * op->window.kernel_width + op->window.pad_left;
    return (uintptr_t)op->weights + column * column_bytes(synapse);
}

/* Adds what all windows see of those of their rows that are in `slices`. */
typedef void adder(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                   uint16_t count);

/* Line y, its windows' rows first <= ky < end. */
static void add_rows(int32_t *line, const snn_synapse *synapse, const unsigned char *events,
                     uint16_t y, uint16_t first, uint16_t end, adder *add)
{
    const snn_lanes_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const uint16_t kernel_width = window->kernel_width, stride = window->stride_x;
    const uintptr_t step = column_bytes(synapse) * stride;
    const size_t channels = synapse->channels;
    snn_event_row rows[MOST_ROWS];
    uintptr_t origins[MOST_ROWS], moved = 0;
    uint16_t count = 0;
    size_t at = 0;

    for (uint16_t ky = first; ky < end; ++ky) {
        const int32_t iy = snn_tap_y(window, source, y, ky);
        if (iy != SNN_PADDING) {
            rows[count] = snn_row_of(synapse, events, (uint16_t)iy);
            origins[count] = origin_of(synapse, ky);
            ++count;
        }
    }
    for (uint16_t x = synapse->width; x > 0; --x) {
        snn_slice slices[MOST_ROWS];
        snn_slice *found = slices;
        for (uint16_t k = 0; k < count; ++k) {
            const uint16_t from = rows[k].first[at], to = rows[k].first[at + kernel_width];
            if (from < to) {
                found->begin = rows[k].events + from;
                found->end = rows[k].events + to;
                found->origin = origins[k] - moved;
                ++found;
            }
        }
        if (found > slices) {
            add(line, synapse, slices, (uint16_t)(found - slices));
        }
        line += channels;
        moved += step;
        at += stride;
    }
}

/* A line whose windows see a single list, of merged rows. */
static void add_merged(int32_t *line, const snn_synapse *synapse, const unsigned char *events,
                       adder *add)
{
    const snn_lanes_op *op = synapse->op;
    const snn_event_row list = snn_row_of(synapse, events, 0);
    const uint16_t stride = op->window.stride_x, kernel_width = op->window.kernel_width;
    const size_t channels = synapse->channels;
    const uintptr_t step = column_bytes(synapse) * stride;
    const uint16_t *first = list.first;
    snn_slice seen = {NULL, NULL, origin_of(synapse, 0)};

    for (uint16_t x = synapse->width; x > 0; --x) {
        const uint16_t from = first[0], to = first[kernel_width];
        if (from < to) {
            seen.begin = list.events + from;
            seen.end = list.events + to;
            add(line, synapse, &seen, 1);
        }
        seen.origin -= step;
        first += stride;
        line += channels;
    }
}

/* The same for all rows of the windows, `at_once` at a time. */
static void add_line(int32_t *line, const snn_synapse *synapse, const unsigned char *events,
                     uint16_t y, uint16_t at_once, adder *add)
{
    const snn_lanes_op *op = synapse->op;
    if (op->merges_rows) {
        add_merged(line, synapse, events, add);
        return;
    }
    for (uint16_t ky = 0; ky < op->window.kernel_height; ky = (uint16_t)(ky + at_once)) {
        const uint16_t left = (uint16_t)(op->window.kernel_height - ky);
        const uint16_t end = (uint16_t)(ky + (left < at_once ? left : at_once));
        add_rows(line, synapse, events, y, ky, end, add);
    }
}

#if SNN_8_BIT

/* The same for up to four outputs. */
static void add_last(int32_t *current, uint16_t outputs, size_t first, const snn_slice *slices,
                     uint16_t rows)
{
    int32_t sums[4] = {0, 0, 0, 0};
    snn_add_4(sums, first, slices, rows);
    for (uint16_t o = 0; o < outputs; ++o) {
        current[o] += sums[o];
    }
}

static void add_wide(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                     uint16_t rows)
{
    uint16_t o = 0;
    for (; synapse->channels - o >= 4; o = (uint16_t)(o + 4)) {
        snn_add_4(current + o, o, slices, rows);
    }
    if (o < synapse->channels) {
        add_last(current + o, (uint16_t)(synapse->channels - o), o, slices, rows);
    }
}

static void add_lanes(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                      uint16_t rows)
{
    uint16_t o = 0;
    for (; synapse->channels - o >= 8; o = (uint16_t)(o + 8)) {
        snn_add_8(current + o, o, slices, rows);
    }
    for (; synapse->channels - o >= 4; o = (uint16_t)(o + 4)) {
        snn_add_4(current + o, o, slices, rows);
    }
    if (o < synapse->channels) {
        add_last(current + o, (uint16_t)(synapse->channels - o), o, slices, rows);
    }
}

/* Counts with a sign or of more than a byte, or weights of more than a byte. */
static void add_any(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                    uint16_t rows)
{
    const snn_lanes_op *op = synapse->op;
    const bool are_sums = synapse->add == snn_lanes;
    for (uint16_t k = 0; k < rows; ++k) {
        for (const snn_event *e = slices[k].begin; e < slices[k].end; ++e) {
            const size_t at =
                slices[k].origin + e->word * word_bytes(op) - (uintptr_t)op->weights;
            const SNN_FLASH int8_t *const bytes = (const SNN_FLASH int8_t *)op->weights + at;
            const SNN_FLASH int32_t *const words =
                (const SNN_FLASH int32_t *)op->weights + at / sizeof(int32_t);
            for (uint16_t o = 0; o < synapse->channels; ++o) {
                const int32_t weight =
                    op->has_pairs ? bytes[o] : snn_half((uint32_t)words[o / 2], o % 2, are_sums);
                current[o] += e->count * weight;
            }
        }
    }
}

static adder *adder_for(const snn_synapse *synapse, adder *add)
{
    const snn_lanes_op *op = synapse->op;
    const uint8_t type = synapse->source->type;
    return op->has_pairs && (type == SNN_BITS || type == SNN_U8) ? add : add_any;
}

void snn_wide(int32_t *line, const snn_synapse *synapse, const unsigned char *events, uint16_t y)
{
    add_line(line, synapse, events, y, MOST_ROWS, adder_for(synapse, add_wide));
}

void snn_lanes(int32_t *line, const snn_synapse *synapse, const unsigned char *events, uint16_t y)
{
    const snn_lanes_op *op = synapse->op;
    add_line(line, synapse, events, y, op->rows_at_once, adder_for(synapse, add_lanes));
}

#else

/* The weights of an event; `origin` may be of further outputs. */
static inline const SNN_FLASH int32_t *weights_of(const snn_event *event, uintptr_t origin)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a pointer could not begin outside of the weights */
    return (const SNN_FLASH int32_t *)(origin + event->word * sizeof(int32_t));
}

static void unpack(int32_t *restrict current, uint16_t outputs, const uint32_t *restrict sums)
{
    for (uint16_t o = 0; o < outputs; ++o) {
        current[o] += (o & 1) ? snn_high(sums[o >> 1]) : snn_low(sums[o >> 1]);
    }
}

/* What follows is for the outputs whose weights are `first` bytes into those of an event. */

static inline snn_words words_of(size_t first, const snn_slice *slices, uint16_t rows)
{
    snn_words all = snn_no_words();
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        const snn_event *e = slices[k].begin, *const end = slices[k].end;
        do {
            all = snn_add_words(all, (uint32_t)(int32_t)e->count, weights_of(e, origin));
        } while (++e < end);
    }
    return all;
}

static void sum_8(uint32_t *sums, size_t first, const snn_slice *slices, uint16_t rows)
{
    snn_put_words(sums, words_of(first, slices, rows));
}

/* All sixteen outputs of eight words. */
static void add_16(int32_t *current, size_t first, const snn_slice *slices, uint16_t rows)
{
    snn_add_words_to(current, words_of(first, slices, rows));
}

static void sum_4(uint32_t *sums, size_t first, const snn_slice *slices, uint16_t rows)
{
    uint32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        const snn_event *e = slices[k].begin, *const end = slices[k].end;
        do {
            const SNN_FLASH int32_t *const w = weights_of(e, origin);
            const uint32_t count = (uint32_t)(int32_t)e->count;
            a0 += count * (uint32_t)w[0];
            a1 += count * (uint32_t)w[1];
            a2 += count * (uint32_t)w[2];
            a3 += count * (uint32_t)w[3];
        } while (++e < end);
    }
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
}

static void sum_2(uint32_t *sums, size_t first, const snn_slice *slices, uint16_t rows)
{
    uint32_t a0 = 0, a1 = 0;
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        const snn_event *e = slices[k].begin, *const end = slices[k].end;
        do {
            const SNN_FLASH int32_t *const w = weights_of(e, origin);
            const uint32_t count = (uint32_t)(int32_t)e->count;
            a0 += count * (uint32_t)w[0];
            a1 += count * (uint32_t)w[1];
        } while (++e < end);
    }
    sums[0] = a0, sums[1] = a1;
}

static void add_wide_4(int32_t *current, size_t first, const snn_slice *slices, uint16_t rows)
{
    snn_halves all = snn_no_halves();
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        const snn_event *e = slices[k].begin, *const end = slices[k].end;
        do {
            all = snn_add_halves(all, e->count, weights_of(e, origin));
        } while (++e < end);
    }
    snn_add_halves_to(current, all);
}

/* Up to four outputs, of two words. */
static void add_wide_2(int32_t *current, uint16_t outputs, size_t first, const snn_slice *slices,
                       uint16_t rows)
{
    int32_t sums[4] = {0, 0, 0, 0};
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        const snn_event *e = slices[k].begin, *const end = slices[k].end;
        do {
            const SNN_FLASH int32_t *const w = weights_of(e, origin);
            sums[0] = snn_add_low(sums[0], w[0], e->count);
            sums[1] = snn_add_high(sums[1], w[0], e->count);
            sums[2] = snn_add_low(sums[2], w[1], e->count);
            sums[3] = snn_add_high(sums[3], w[1], e->count);
        } while (++e < end);
    }
    for (uint16_t o = 0; o < outputs && o < 4; ++o) {
        current[o] += sums[o];
    }
}

static void add_wide(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                     uint16_t rows)
{
    for (uint16_t o = 0; o < synapse->channels;) {
        const size_t first = (o / 2u) * sizeof(int32_t);
        const uint16_t left = (uint16_t)(synapse->channels - o);
        if (left >= 8) {
            add_wide_4(current + o, first, slices, rows);
            o = (uint16_t)(o + 8);
        } else {
            add_wide_2(current + o, left, first, slices, rows);
            o = (uint16_t)(o + 4);
        }
    }
}

/* The same for eight outputs, which first layers often have. */
static void add_wide_8(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                       uint16_t rows)
{
    (void)synapse;
    add_wide_4(current, 0, slices, rows);
}

static void add_lanes(int32_t *current, const snn_synapse *synapse, const snn_slice *slices,
                      uint16_t rows)
{
    const snn_lanes_op *op = synapse->op;
    for (uint16_t word = 0; word < op->words;) {
        uint32_t sums[8];
        const uint16_t left = (uint16_t)(op->words - word);
        const uint16_t step = left >= 8 ? 8 : left >= 4 ? 4 : 2;
        const uint16_t rest = (uint16_t)(synapse->channels - 2 * word);
        if (rest >= 16) {
            add_16(current + (size_t)2 * word, word * sizeof(int32_t), slices, rows);
            word = (uint16_t)(word + 8);
            continue;
        }
        (step == 8 ? sum_8 : step == 4 ? sum_4 : sum_2)(sums, word * sizeof(int32_t), slices, rows);
        unpack(current + (size_t)2 * word, rest < 2 * step ? rest : (uint16_t)(2 * step), sums);
        word = (uint16_t)(word + step);
    }
}

void snn_wide(int32_t *line, const snn_synapse *synapse, const unsigned char *events, uint16_t y)
{
    add_line(line, synapse, events, y, MOST_ROWS,
             synapse->channels == 8 ? add_wide_8 : add_wide);
}

void snn_lanes(int32_t *line, const snn_synapse *synapse, const unsigned char *events, uint16_t y)
{
    const snn_lanes_op *op = synapse->op;
    add_line(line, synapse, events, y, op->rows_at_once, add_lanes);
}

#endif
