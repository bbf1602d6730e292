#include "snn_row.h"

static void add_position(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                         uint16_t y, uint16_t x)
{
    const snn_scale_op *op = synapse->op;
    const snn_values *source = synapse->source;

    snn_add_products(current, plane + snn_row_offset(source, y, x), source->type, source->channels,
                     &op->weights, 0);
}

void snn_scale(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
