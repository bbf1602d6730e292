#include "snn_row.h"
#include "snn_window.h"

static void add_position(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                         uint16_t y, uint16_t x)
{
    const snn_max_pool_op *op = synapse->op;
    const snn_window *window = &op->window;
    const snn_values *source = synapse->source;
    bool first = true; /* padding takes no part, so the maximum starts from the first real tap */

    for (uint16_t ky = 0; ky < window->kernel_height; ++ky) {
        const int32_t iy = snn_tap_y(window, source, y, ky);
        for (uint16_t kx = 0; iy != SNN_PADDING && kx < window->kernel_width; ++kx) {
            const int32_t ix = snn_tap_x(window, source, x, kx);
            if (ix == SNN_PADDING) {
                continue;
            }
            const unsigned char *row =
                plane + snn_row_offset(source, (uint16_t)iy, (uint16_t)ix);
            for (uint16_t c = 0; c < source->channels; ++c) {
                const int32_t value = snn_get(row, source->type, c);
                if (first || value > current[c]) {
                    current[c] = value;
                }
            }
            first = false;
        }
    }
}

void snn_max_pool(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
