#include "snn_line.h"
#include "snn_pooled.h"
#include "snn_row.h"

/* Where a line of a layer's state lies. */
static unsigned char *state_line(const snn_call *call, const snn_values *state, uint16_t y)
{
    return call->arena + state->offset + snn_row_offset(state, y, 0);
}

/* The state of a line of neurons: as it was initially, or as the last call left it. */
static void load_state(const snn_layer *layer, const snn_call *call, const snn_scratch_lines *lines,
                       uint16_t y)
{
    if (call->begin == 0) {
        snn_fill_line(lines->membrane, &layer->initial, layer->output);
        if (layer->has_balance) {
            snn_clear(lines->balance, snn_line_count(layer) * sizeof *lines->balance);
        }
    } else {
        snn_get_line(lines->membrane, state_line(call, layer->membrane, y), layer->membrane);
        if (layer->has_balance) {
            snn_get_line(lines->balance, state_line(call, layer->balance, y), layer->balance);
        }
    }
}

static void store_state(const snn_layer *layer, const snn_call *call, const snn_scratch_lines *lines,
                        uint16_t y)
{
    if (layer->membrane != NULL) {
        snn_put_line(state_line(call, layer->membrane, y), layer->membrane, lines->membrane);
    }
    if (layer->balance != NULL) {
        snn_put_line(state_line(call, layer->balance, y), layer->balance, lines->balance);
    }
}

/* Line y, from call->begin to call->end. */
static void gather_line(const snn_layer *layer, const snn_call *call, const snn_scratch_lines *lines,
                        uint16_t y)
{
    const snn_values *output = layer->output;
    const uint16_t constant = layer->constant_synapses;

    if (layer->has_membrane) {
        load_state(layer, call, lines, y);
    }
    if (constant > 0) {
        snn_fill_line(lines->constant, &layer->bias, output);
        snn_add_synapses(lines->constant, layer, call, 0, constant, call->begin, y);
    }
    for (uint16_t t = call->begin; t < call->end; ++t) {
        snn_gather_current(layer, call, lines, t, y);
        unsigned char *rows = snn_output_line(layer, call, t, y);
        if (layer->fire != NULL) {
            layer->fire(layer->neuron, output, rows, lines->current, lines->membrane,
                        lines->balance);
        } else {
            snn_put_line(rows, output, lines->current);
        }
        if (call->trace != NULL) {
            snn_report_rows(layer, call, lines, rows, t, y);
        }
        if (layer->pooled != NULL) {
            snn_pool_line(layer, call, lines->current, rows, t, y);
        }
    }
    if (layer->has_membrane) {
        store_state(layer, call, lines, y);
    }
}

void snn_gather(const snn_layer *layer, const snn_call *call)
{
    const snn_scratch_lines lines = snn_scratch_of(layer, call);
    for (uint16_t y = 0; y < layer->output->height; ++y) {
        snn_prepare_line(layer, call, y);
        gather_line(layer, call, &lines, y);
    }
}
