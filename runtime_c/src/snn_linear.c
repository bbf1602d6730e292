#include "snn_row.h"

void snn_linear(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    const snn_linear_op *op = synapse->op;
    const snn_values *source = synapse->source;
    const size_t weights_per_row = (size_t)source->channels * synapse->channels;
    const size_t rows = (size_t)source->height * source->width;
    (void)y; /* the layer has a single position */

    for (size_t i = 0; i < rows; ++i) {
        snn_add_events(line, synapse->channels, plane + i * source->row_bytes, source->type, 0,
                       source->channels, &op->weights, i * weights_per_row);
    }
}
