#include <string.h>

#include "snn_pooled.h"
#include "snn_report.h"
#include "snn_row.h"

/* The scratch of a layer, one line each; those that a layer does not need do not exist. */
typedef struct {
    int32_t *current;
    int32_t *membrane; /* with neurons, NULL where nobody wants to know */
    int32_t *balance;  /* with neurons that take spikes back */
    int32_t *constant; /* with constant synapses: what they and the bias add up to */
} scratch_lines;

static size_t line_count(const snn_layer *layer)
{
    return (size_t)layer->output->channels * layer->output->width;
}

static scratch_lines scratch_of(const snn_layer *layer, const snn_call *call)
{
    const size_t count = line_count(layer);
    scratch_lines lines;
    lines.current = (int32_t *)(void *)(call->arena + layer->scratch);
    lines.membrane = lines.current + count;
    lines.balance = lines.membrane + (layer->fire != NULL ? count : 0);
    lines.constant = lines.balance + (layer->has_balance ? count : 0);
    if (!layer->has_membrane && call->trace == NULL) {
        lines.membrane = NULL;
    }
    return lines;
}

/* Where a line of a layer's state lies. */
static unsigned char *state_line(const snn_call *call, const snn_values *state, uint16_t y)
{
    return call->arena + state->offset + snn_row_offset(state, y, 0);
}

/* What `prepare` makes for timestep `t`. */
static unsigned char *prepared_at(const snn_synapse *synapse, const snn_call *call, uint16_t t)
{
    const size_t slot = synapse->source->planes > 1 ? (size_t)(t - call->begin) : 0;
    return call->arena + synapse->prepared + slot * synapse->prepared_bytes;
}

static void add_synapses(int32_t *line, const snn_layer *layer, const snn_call *call,
                         uint16_t first, uint16_t end, uint16_t t, uint16_t y)
{
    for (uint16_t i = first; i < end; ++i) {
        const snn_synapse *synapse = &layer->synapses[i];
        synapse->add(line, synapse,
                     synapse->prepare == NULL ? snn_plane(call->arena, synapse->source, t)
                                              : prepared_at(synapse, call, t),
                     y);
    }
}

/* In ascending order, so that what was just written is copied on where they overlap. For memcpy, which
 * is a loop over bytes in small libraries. */
static void copy_words(int32_t *to, const int32_t *from, size_t count)
{
    for (; count >= 4; count -= 4) {
        to[0] = from[0];
        to[1] = from[1];
        to[2] = from[2];
        to[3] = from[3];
        to += 4;
        from += 4;
    }
    for (; count > 0; --count) {
        *to++ = *from++;
    }
}

/* One row in every position of a line: the array's, or 0 where it is NULL. */
static void fill_line(int32_t *line, const snn_array *row, const snn_values *values)
{
    const size_t channels = values->channels;
    size_t rest = channels * (values->width - (size_t)1);
    if (row->data == NULL) {
        snn_clear(line, (channels + rest) * sizeof *line);
        return;
    }
    snn_get_array(line, row, channels);
    copy_words(line + channels, line, rest);
}

/* The state of a line of neurons: as it was initially, or as the last call left it. */
static void load_state(const snn_layer *layer, const snn_call *call, const scratch_lines *lines,
                       uint16_t y)
{
    if (call->begin == 0) {
        fill_line(lines->membrane, &layer->initial, layer->output);
        if (layer->has_balance) {
            snn_clear(lines->balance, line_count(layer) * sizeof *lines->balance);
        }
    } else {
        snn_get_line(lines->membrane, state_line(call, layer->membrane, y), layer->membrane);
        if (layer->has_balance) {
            snn_get_line(lines->balance, state_line(call, layer->balance, y), layer->balance);
        }
    }
}

static void store_state(const snn_layer *layer, const snn_call *call, const scratch_lines *lines,
                        uint16_t y)
{
    if (layer->membrane != NULL) {
        snn_put_line(state_line(call, layer->membrane, y), layer->membrane, lines->membrane);
    }
    if (layer->balance != NULL) {
        snn_put_line(state_line(call, layer->balance, y), layer->balance, lines->balance);
    }
}

/* Where line y goes: what is pooled at once is not kept. */
static unsigned char *output_line(const snn_layer *layer, const snn_call *call, uint16_t t,
                                  uint16_t y)
{
    if (layer->pooled != NULL) {
        return call->arena + layer->output->offset;
    }
    return snn_plane(call->arena, layer->output, t) + snn_row_offset(layer->output, y, 0);
}

static void report_line(const snn_layer *layer, const snn_call *call, const int32_t *outputs,
                        const int32_t *membranes, uint16_t t, uint16_t y)
{
    const uint32_t count = (uint32_t)line_count(layer);
    const snn_step step = {
        .layer = layer->number,
        .timestep = t,
        .count = count,
        .neuron = y * count,
        .outputs = outputs,
        .membranes = membranes,
    };
    snn_report(call, &step, layer->is_constant);
}

/* Line y, from call->begin to call->end. */
static void gather_line(const snn_layer *layer, const snn_call *call, const scratch_lines *lines,
                        uint16_t y)
{
    const snn_values *output = layer->output;
    const uint16_t constant = layer->constant_synapses;

    if (layer->has_membrane) {
        load_state(layer, call, lines, y);
    }
    if (constant > 0) {
        fill_line(lines->constant, &layer->bias, output);
        add_synapses(lines->constant, layer, call, 0, constant, call->begin, y);
    }
    for (uint16_t t = call->begin; t < call->end; ++t) {
        if (constant > 0) {
            copy_words(lines->current, lines->constant, line_count(layer));
        } else {
            fill_line(lines->current, &layer->bias, output);
        }
        add_synapses(lines->current, layer, call, constant, layer->synapse_count, t, y);
        unsigned char *rows = output_line(layer, call, t, y);
        if (layer->fire != NULL) {
            layer->fire(layer->neuron, output, rows, lines->current, lines->membrane,
                        lines->balance);
        } else {
            snn_put_line(rows, output, lines->current);
        }
        if (call->trace != NULL) {
            snn_get_line(lines->current, rows, output);
            report_line(layer, call, lines->current, layer->fire != NULL ? lines->membrane : NULL,
                        t, y);
        }
        if (layer->pooled != NULL) {
            snn_pool_line(layer, call, lines->current, rows, t, y);
        }
    }
    if (layer->has_membrane) {
        store_state(layer, call, lines, y);
    }
}

/* Prepares what line y will read; of a source of one plane, once. */
static void prepare(const snn_layer *layer, const snn_call *call, uint16_t y)
{
    for (uint16_t i = 0; i < layer->synapse_count; ++i) {
        const snn_synapse *synapse = &layer->synapses[i];
        if (synapse->prepare != NULL) {
            const uint16_t end =
                synapse->source->planes > 1 ? call->end : (uint16_t)(call->begin + 1);
            for (uint16_t t = call->begin; t < end; ++t) {
                synapse->prepare(synapse, prepared_at(synapse, call, t),
                                 snn_plane(call->arena, synapse->source, t), y);
            }
        }
    }
}

void snn_gather(const snn_layer *layer, const snn_call *call)
{
    const scratch_lines lines = scratch_of(layer, call);
    for (uint16_t y = 0; y < layer->output->height; ++y) {
        prepare(layer, call, y);
        gather_line(layer, call, &lines, y);
    }
}
