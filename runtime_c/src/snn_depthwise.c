#include "snn_row.h"
#include "snn_window.h"

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

void snn_depthwise(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
