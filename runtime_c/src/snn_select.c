#include "snn_row.h"

static void add_position(int32_t *current, const snn_synapse *synapse, const unsigned char *plane,
                         uint16_t y, uint16_t x)
{
    const snn_select_op *op = synapse->op;
    const snn_values *source = synapse->source;
    const int16_t iy = op->rows[y];
    const int16_t ix = op->columns[x];
    if (iy < 0 || ix < 0) {
        return;
    }
    const unsigned char *row = plane + snn_row_offset(source, (uint16_t)iy, (uint16_t)ix);
    for (uint16_t c = 0; c < synapse->channels; ++c) {
        if (op->channels[c] >= 0) {
            current[c] += snn_get(row, source->type, (size_t)op->channels[c]);
        }
    }
}

void snn_select(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    for (uint16_t x = 0; x < synapse->width; ++x) {
        add_position(line, synapse, plane, y, x);
        line += synapse->channels;
    }
}
