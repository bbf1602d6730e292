#include "snn_events.h"

#include "snn_bits.h"
#include "snn_row.h"

static snn_event *list_event(snn_event *to, uint16_t word, int32_t count)
{
    to->word = word;
    to->count = (int16_t)count;
    return to + (count != 0); /* else it is overwritten */
}

static snn_event *list_bits(snn_event *to, const uint8_t *row, uint16_t channels, uint16_t word,
                        uint16_t words)
{
    for (uint16_t c = 0; c < channels; c = (uint16_t)(c + 8)) {
        for (unsigned bits = *row; bits != 0; bits &= bits - 1) {
            to = list_event(to, (uint16_t)(word + snn_lowest_bit(bits) * words), 1);
        }
        word = (uint16_t)(word + 8 * words);
        ++row;
    }
    return to;
}

static inline snn_event *list_bytes(snn_event *to, const uint8_t *row, size_t channels,
                                    size_t word, size_t words)
{
    for (const uint8_t *end = row + channels; row < end; ++row) {
        if (*row != 0) {
            to->word = (uint16_t)word;
            to->count = *row;
            ++to;
        }
        word += words;
    }
    return to;
}

/* Appends the events of one position, and returns where the next goes. There is room for one more
 * than channels. */
static snn_event *list_position(snn_event *to, const unsigned char *row, const snn_values *source,
                            uint16_t word, uint16_t words)
{
    const uint16_t channels = source->channels;
    switch (source->type) {
    case SNN_BITS: return list_bits(to, row, channels, word, words);
    case SNN_U8: return list_bytes(to, row, channels, word, words);
    case SNN_I8:
        for (uint16_t c = 0; c < channels; ++c) {
            to = list_event(to, word, ((const int8_t *)row)[c]);
            word = (uint16_t)(word + words);
        }
        return to;
    default:
        for (uint16_t c = 0; c < channels; ++c) {
            to = list_event(to, word, snn_get(row, source->type, c));
            word = (uint16_t)(word + words);
        }
        return to;
    }
}

/* Padding on the left sees no event; returns where the source's columns begin. */
static uint16_t *begin_columns(const snn_synapse *synapse, const snn_event_row *list)
{
    const snn_lanes_op *op = synapse->op;
    const uint16_t pad = op->window.pad_left;
    for (uint16_t i = 0; i < pad; ++i) {
        list->first[i] = 0;
    }
    return list->first + pad;
}

/* Nor does what is right of the source, from `first` on; the last event lies before `to`. */
static void end_columns(const snn_synapse *synapse, const snn_event_row *list, uint16_t *first,
                        const snn_event *to)
{
    const uint16_t *const end = list->first + snn_columns(synapse) + 1;
    while (first < end) {
        *first++ = (uint16_t)(to - list->events);
    }
}

/* The events of a column of `height` bytes, whose addresses and words are as far apart as given. */
static snn_event *list_column(snn_event *to, const uint8_t *byte, size_t height, size_t line_bytes,
                          uint16_t word, uint16_t row_step)
{
    size_t at = word;
    for (; height > 0; --height) {
        if (*byte != 0) {
            to->word = (uint16_t)at;
            to->count = *byte;
            ++to;
        }
        at += row_step;
        byte += line_bytes;
    }
    return to;
}

/* Whether the bytes of four columns, which begin at words, are all 0. */
static bool are_zero(const uint8_t *byte, size_t height, size_t line_bytes)
{
    uint32_t any = 0;
    for (; height > 0; --height) {
        any |= *(const uint32_t *)(const void *)byte;
        byte += line_bytes;
    }
    return any == 0;
}

/* What a list of merged rows is made of: `height` rows of the source that a line sees. */
typedef struct {
    const unsigned char *row; /* of column 0 in the first of them */
    size_t height;
    uint16_t word;            /* of an event there */
    uint16_t below;           /* from a row to the next, in words */
    size_t line_bytes;
} strip;

/* Lists `width` columns, and returns where the next event would go. */
static snn_event *list_bytes_by_columns(const snn_event_row *list, uint16_t *first,
                                        const strip *from, uint16_t width, uint16_t step)
{
    const bool by_words = (uintptr_t)from->row % 4 == 0 && from->line_bytes % 4 == 0;
    const uint8_t *byte = from->row;
    uint16_t word = from->word, x = 0;
    snn_event *to = list->events;

    while (x < width) {
        const uint16_t at = (uint16_t)(to - list->events);
        if (by_words && x % 4 == 0 && are_zero(byte, from->height, from->line_bytes)) {
            first[x] = at, first[x + 1] = at, first[x + 2] = at, first[x + 3] = at;
            x = (uint16_t)(x + 4);
            byte += 4;
            word = (uint16_t)(word + 4 * step);
            continue;
        }
        first[x++] = at;
        to = list_column(to, byte++, from->height, from->line_bytes, word, from->below);
        word = (uint16_t)(word + step);
    }
    return to;
}

/* The rows that line y sees, column by column, in the first slot of the ring. */
static void list_columns(const snn_synapse *synapse, unsigned char *events,
                         const unsigned char *plane, uint16_t y)
{
    const snn_lanes_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const snn_event_row list = snn_row_of(synapse, events, 0);
    const uint16_t step = (uint16_t)(source->channels * op->words), width = source->width;
    const uint16_t below = (uint16_t)(window->kernel_width * step);
    const int32_t top = (int32_t)y * window->stride_y - window->pad_top;
    const int32_t begin = top < 0 ? 0 : top, bottom = top + window->kernel_height;
    const int32_t end = bottom < source->height ? bottom : source->height;
    const size_t line_bytes = snn_row_offset(source, 1, 0);
    const size_t height = end > begin ? (size_t)(end - begin) : 0; /* all may be padding */
    const strip from = {plane + (size_t)begin * line_bytes, height,
                        (uint16_t)((begin - top) * below), below, line_bytes};
    uint16_t *const first = begin_columns(synapse, &list);
    snn_event *to = list.events;

    if (source->type == SNN_U8 && source->channels == 1) {
        to = list_bytes_by_columns(&list, first, &from, width, step);
    } else {
        for (uint16_t x = 0; x < width; ++x) {
            const unsigned char *row = from.row + x * source->row_bytes;
            uint16_t word = (uint16_t)(from.word + x * step);
            first[x] = (uint16_t)(to - list.events);
            for (size_t k = 0; k < from.height; ++k) {
                to = list_position(to, row, source, word, op->words);
                row += line_bytes;
                word = (uint16_t)(word + below);
            }
        }
    }
    end_columns(synapse, &list, first + width, to);
}

static void list_rows(const snn_synapse *synapse, unsigned char *events, const unsigned char *plane,
                      uint16_t y)
{
    const snn_lanes_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const uint16_t step = (uint16_t)(source->channels * op->words), width = source->width;
    const int32_t top = (int32_t)y * window->stride_y - window->pad_top;
    const int32_t end = top + window->kernel_height;
    const int32_t known = y == 0 ? 0 : end - window->stride_y; /* these rows were listed before */

    for (int32_t iy = known > top ? known : top; iy < end && iy < source->height; ++iy) {
        if (iy < 0) {
            continue;
        }
        const snn_event_row list = snn_row_of(synapse, events, (uint16_t)iy);
        const unsigned char *row = plane + snn_row_offset(source, (uint16_t)iy, 0);
        uint16_t *const first = begin_columns(synapse, &list);
        snn_event *to = list.events;
        uint16_t word = 0;
        for (uint16_t x = 0; x < width; ++x) {
            first[x] = (uint16_t)(to - list.events);
            to = source->type == SNN_U8 ? list_bytes(to, row, source->channels, word, op->words)
                                        : list_position(to, row, source, word, op->words);
            row += source->row_bytes;
            word = (uint16_t)(word + step);
        }
        end_columns(synapse, &list, first + width, to);
    }
}

void snn_list_counts(const snn_synapse *synapse, unsigned char *events, const unsigned char *plane,
                     uint16_t y)
{
    const snn_lanes_op *op = synapse->op;
    (op->merges_rows ? list_columns : list_rows)(synapse, events, plane, y);
}
