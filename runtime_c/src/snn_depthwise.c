#include "snn_row.h"
#include "snn_window.h"

#define EIGHT 8

/* The taps of a position that fall on the source: `height` rows of `width`, all of bytes. */
typedef struct {
    const unsigned char *row;        /* of the first */
    const SNN_FLASH int8_t *weights; /* of the first */
    size_t height, width;
    size_t channels;                 /* from one to the next */
    size_t row_step, weight_step;    /* from a row of them to the next */
} taps;

/* Its product with a weight fits 16 bits, which are all that `int` may have. */
static inline int16_t byte_at(const unsigned char *row, bool is_signed)
{
    return is_signed ? *(const int8_t *)row : *row;
}

/* Eight channels at a time, whose sums stay in registers. */
static inline void add_taps(int32_t *current, const taps *seen, bool is_signed)
{
    const size_t channels = seen->channels;
    for (size_t c = 0; c < channels; c += EIGHT) {
        const unsigned char *row = seen->row + c;
        const SNN_FLASH int8_t *weights = seen->weights + c;
        int32_t a0 = current[0], a1 = current[1], a2 = current[2], a3 = current[3];
        int32_t a4 = current[4], a5 = current[5], a6 = current[6], a7 = current[7];
        for (size_t ky = seen->height; ky > 0; --ky) {
            const unsigned char *at = row;
            const SNN_FLASH int8_t *w = weights;
            for (size_t kx = seen->width; kx > 0; --kx) {
                a0 += byte_at(at, is_signed) * w[0];
                a1 += byte_at(at + 1, is_signed) * w[1];
                a2 += byte_at(at + 2, is_signed) * w[2];
                a3 += byte_at(at + 3, is_signed) * w[3];
                a4 += byte_at(at + 4, is_signed) * w[4];
                a5 += byte_at(at + 5, is_signed) * w[5];
                a6 += byte_at(at + 6, is_signed) * w[6];
                a7 += byte_at(at + 7, is_signed) * w[7];
                at += channels;
                w += channels;
            }
            row += seen->row_step;
            weights += seen->weight_step;
        }
        current[0] = a0, current[1] = a1, current[2] = a2, current[3] = a3;
        current[4] = a4, current[5] = a5, current[6] = a6, current[7] = a7;
        current += EIGHT;
    }
}

/* Which taps along one axis fall on the source: from the first on, so many. */
typedef struct {
    int32_t index; /* where the first one falls */
    uint16_t first, count;
} span;

static span span_of(int32_t index, uint16_t kernel, uint16_t size)
{
    const int32_t begin = index < 0 ? -index : 0;
    const int32_t end = size - index < kernel ? size - index : kernel;
    const span seen = {index + begin, (uint16_t)begin, (uint16_t)(end > begin ? end - begin : 0)};
    return seen;
}

/* A line of bytes with weights of bytes, in whole groups of eight channels, without dilation. */
static void add_bytes(int32_t *line, const snn_synapse *synapse, const unsigned char *plane,
                      uint16_t y)
{
    const snn_conv_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const size_t channels = source->channels;
    const int32_t top = (int32_t)y * window->stride_y - window->pad_top;
    const span rows = span_of(top, window->kernel_height, source->height);
    int32_t left = -(int32_t)window->pad_left;
    taps seen = {
        .height = rows.count,
        .channels = channels,
        .row_step = snn_row_offset(source, 1, 0),
        .weight_step = window->kernel_width * channels,
    };

    for (uint16_t x = 0; x < synapse->width && rows.count > 0; ++x) {
        const span columns = span_of(left, window->kernel_width, source->width);
        if (columns.count > 0) {
            const size_t tap = (size_t)rows.first * window->kernel_width + columns.first;
            seen.row = plane + snn_row_offset(source, (uint16_t)rows.index, (uint16_t)columns.index);
            seen.weights = (const SNN_FLASH int8_t *)op->weights.data + tap * channels;
            seen.width = columns.count;
            if (source->type == SNN_U8) {
                add_taps(line, &seen, false);
            } else {
                add_taps(line, &seen, true);
            }
        }
        line += channels;
        left += window->stride_x;
    }
}

static void add_position(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                         uint16_t y, uint16_t x)
{
    const snn_conv_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;

    for (uint16_t ky = 0; ky < window->kernel_height; ++ky) {
        const int32_t iy = snn_tap_y(window, source, y, ky);
        if (iy == SNN_PADDING) {
            continue;
        }
        for (uint16_t kx = 0; kx < window->kernel_width; ++kx) {
            const int32_t ix = snn_tap_x(window, source, x, kx);
            if (ix == SNN_PADDING) {
                continue;
            }
            const size_t tap = (size_t)ky * window->kernel_width + kx;
            snn_add_products(current, plane + snn_row_offset(source, (uint16_t)iy, (uint16_t)ix),
                             source->type, source->channels, &op->weights,
                             tap * source->channels);
        }
    }
}

void snn_depthwise(int32_t *line, const snn_synapse *synapse, const unsigned char *plane,
                   uint16_t y)
{
    const snn_conv_op *op = synapse->op;
    const snn_values *source = synapse->source;
    const bool are_bytes = source->type == SNN_U8 || source->type == SNN_I8;
    if (are_bytes && op->weights.type == SNN_I8 && source->channels % EIGHT == 0
        && op->window.dilation_y == 1 && op->window.dilation_x == 1) {
        add_bytes(line, synapse, plane, y);
        return;
    }
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
