#include "snn_row.h"
#include "snn_window.h"

static void add_position(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                         uint16_t y, uint16_t x)
{
    const snn_conv_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    const uint16_t inputs = (uint16_t)(source->channels / op->groups);
    const uint16_t outputs = (uint16_t)(synapse->channels / op->groups);
    const size_t weights_per_group = (size_t)inputs * outputs;

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
            const unsigned char *row =
                plane + snn_row_offset(source, (uint16_t)iy, (uint16_t)ix);
            const size_t tap = (size_t)ky * window->kernel_width + kx;
            for (uint16_t g = 0; g < op->groups; ++g) {
                const size_t at = (tap * op->groups + g) * weights_per_group;
                const uint16_t first = (uint16_t)(g * inputs);
                snn_add_events(current + (size_t)g * outputs, outputs, row, source->type, first,
                               (uint16_t)(first + inputs), &op->weights, at);
            }
        }
    }
}

void snn_conv(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
