#include <string.h>

#include "snn_report.h"
#include "snn_row.h"

/* The scratch of a layer, one row each; those that a layer does not need do not exist. */
typedef struct {
    int32_t *current;
    int32_t *membrane; /* with neurons */
    int32_t *balance;  /* with neurons that take spikes back */
    int32_t *constant; /* with constant synapses: what they and the bias add up to */
} scratch_rows;

static scratch_rows scratch_of(const snn_layer *layer, unsigned char *arena)
{
    const size_t channels = layer->output->channels;
    scratch_rows rows;
    rows.current = (int32_t *)(void *)(arena + layer->scratch);
    rows.membrane = rows.current + channels;
    rows.balance = rows.membrane + (layer->fire != NULL ? channels : 0);
    rows.constant = rows.balance + (layer->has_balance ? channels : 0);
    return rows;
}

static void add_synapses(int32_t *current, const snn_layer *layer, const snn_call *call,
                         uint16_t first, uint16_t end, uint16_t t, uint16_t y, uint16_t x)
{
    for (uint16_t i = first; i < end; ++i) {
        const snn_synapse *synapse = &layer->synapses[i];
        synapse->add(current, synapse, snn_plane(call->arena, synapse->source, t), y, x);
    }
}

/* The state of a row of neurons: as it was initially, or as the last call left it. */
static void load_state(const snn_layer *layer, const snn_call *call, const scratch_rows *rows,
                       size_t row)
{
    const size_t channels = layer->output->channels;
    if (call->begin == 0) {
        snn_get_array(rows->membrane, &layer->initial, channels);
        if (layer->has_balance) {
            memset(rows->balance, 0, channels * sizeof *rows->balance);
        }
    } else {
        snn_get_row(rows->membrane,
                    call->arena + layer->membrane->offset + row * layer->membrane->row_bytes,
                    layer->membrane->type, channels);
        if (layer->has_balance) {
            snn_get_row(rows->balance,
                        call->arena + layer->balance->offset + row * layer->balance->row_bytes,
                        layer->balance->type, channels);
        }
    }
}

static void store_state(const snn_layer *layer, const snn_call *call, const scratch_rows *rows,
                        size_t row)
{
    const size_t channels = layer->output->channels;
    if (layer->membrane != NULL) {
        snn_put_row(call->arena + layer->membrane->offset + row * layer->membrane->row_bytes,
                    layer->membrane->type, channels, rows->membrane);
    }
    if (layer->balance != NULL) {
        snn_put_row(call->arena + layer->balance->offset + row * layer->balance->row_bytes,
                    layer->balance->type, channels, rows->balance);
    }
}

/* Position (y, x), whose row of channels is number `row`, from call->begin to call->end. */
static void gather_row(const snn_layer *layer, const snn_call *call, const scratch_rows *rows,
                       size_t row, uint16_t y, uint16_t x)
{
    const snn_values *output = layer->output;
    const uint16_t constant = layer->constant_synapses;

    if (layer->fire != NULL) {
        load_state(layer, call, rows, row);
    }
    if (constant > 0) {
        snn_get_array(rows->constant, &layer->bias, output->channels);
        add_synapses(rows->constant, layer, call, 0, constant, call->begin, y, x);
    }
    for (uint16_t t = call->begin; t < call->end; ++t) {
        if (constant > 0) {
            memcpy(rows->current, rows->constant, output->channels * sizeof *rows->current);
        } else {
            snn_get_array(rows->current, &layer->bias, output->channels);
        }
        add_synapses(rows->current, layer, call, constant, layer->synapse_count, t, y, x);
        if (layer->fire != NULL) {
            layer->fire(layer->neuron, output->channels, rows->current, rows->membrane,
                        rows->balance);
        }
        snn_put_row(snn_plane(call->arena, output, t) + row * output->row_bytes, output->type,
                    output->channels, rows->current);
        snn_report(call, layer, t, row, rows->current,
                   layer->fire != NULL ? rows->membrane : NULL);
    }
    if (layer->fire != NULL) {
        store_state(layer, call, rows, row);
    }
}

void snn_gather(const snn_layer *layer, const snn_call *call)
{
    const scratch_rows rows = scratch_of(layer, call->arena);
    size_t row = 0;
    for (uint16_t y = 0; y < layer->output->height; ++y) {
        for (uint16_t x = 0; x < layer->output->width; ++x) {
            gather_row(layer, call, &rows, row, y, x);
            ++row;
        }
    }
}
