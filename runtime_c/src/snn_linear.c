#include "snn_row.h"

void snn_linear(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                uint16_t y, uint16_t x)
{
    const snn_linear_op *op = synapse->op;
    const snn_values *source = synapse->source;
    const size_t weights_per_row = (size_t)source->channels * synapse->channels;
    const size_t rows = (size_t)source->height * source->width;
    (void)y; /* the layer has a single position */
    (void)x;

    for (size_t i = 0; i < rows; ++i) {
        snn_add_events(current, synapse->channels, plane + i * source->row_bytes, source->type, 0,
                       source->channels, &op->weights, i * weights_per_row);
    }
}
