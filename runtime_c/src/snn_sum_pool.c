#include "snn_row.h"
#include "snn_window.h"

static void add_position(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                         uint16_t y, uint16_t x)
{
    const snn_sum_pool_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;

    for (uint16_t ky = 0; ky < window->kernel_height; ++ky) {
        const int32_t iy = snn_tap_y(window, source, y, ky);
        for (uint16_t kx = 0; iy != SNN_PADDING && kx < window->kernel_width; ++kx) {
            const int32_t ix = snn_tap_x(window, source, x, kx);
            if (ix != SNN_PADDING) {
                snn_add_row(current, plane + snn_row_offset(source, (uint16_t)iy, (uint16_t)ix),
                            source->type, source->channels);
            }
        }
    }
    if (op->multiplier.data != NULL) { /* brings a border window to the size of the others */
        const int32_t multiplier = snn_at(&op->multiplier, (size_t)y * synapse->width + x);
        for (uint16_t c = 0; c < synapse->channels; ++c) {
            current[c] *= multiplier;
        }
    }
}

void snn_sum_pool(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
