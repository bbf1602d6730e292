#include "snn_line.h"

#include <string.h>

#include "snn_report.h"
#include "snn_row.h"

#define REPORTED 16 /* neurons at a time */

snn_scratch_lines snn_scratch_of(const snn_layer *layer, const snn_call *call)
{
    const size_t count = snn_line_count(layer);
    snn_scratch_lines lines;
    lines.current = (int32_t *)(void *)(call->arena + layer->scratch);
    lines.membrane = layer->has_membrane ? lines.current + count : NULL;
    lines.balance = lines.current + (layer->has_membrane ? 2 * count : count);
    lines.constant = lines.balance + (layer->has_balance ? count : 0);
    return lines;
}

/* What `prepare` makes for timestep `t`. */
static unsigned char *prepared_at(const snn_synapse *synapse, const snn_call *call, uint16_t t)
{
    const size_t slot = synapse->source->planes > 1 ? (size_t)(t - call->begin) : 0;
    return call->arena + synapse->prepared + slot * synapse->prepared_bytes;
}

void snn_prepare_line(const snn_layer *layer, const snn_call *call, uint16_t y)
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

void snn_add_synapses(int32_t *line, const snn_layer *layer, const snn_call *call, uint16_t first,
                      uint16_t end, uint16_t t, uint16_t y)
{
    for (uint16_t i = first; i < end; ++i) {
        const snn_synapse *synapse = &layer->synapses[i];
        synapse->add(line, synapse,
                     synapse->prepare == NULL ? snn_plane(call->arena, synapse->source, t)
                                              : prepared_at(synapse, call, t),
                     y);
    }
}

void snn_fill_line(int32_t *line, const snn_array *row, const snn_values *values)
{
    const size_t channels = values->channels;
    size_t rest = channels * (values->width - (size_t)1);
    if (row->data == NULL) {
        snn_clear(line, (channels + rest) * sizeof *line);
        return;
    }
    snn_get_array(line, row, channels);
    snn_copy_words(line + channels, line, rest);
}

unsigned char *snn_output_line(const snn_layer *layer, const snn_call *call, uint16_t t, uint16_t y)
{
    if (layer->pooled != NULL) {
        return call->arena + layer->output->offset;
    }
    return snn_plane(call->arena, layer->output, t) + snn_row_offset(layer->output, y, 0);
}

void snn_report_line(const snn_layer *layer, const snn_call *call, const int32_t *outputs,
                     const int32_t *membranes, uint16_t t, uint16_t y)
{
    const uint32_t count = (uint32_t)snn_line_count(layer);
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

void snn_gather_current(const snn_layer *layer, const snn_call *call,
                        const snn_scratch_lines *lines, uint16_t t, uint16_t y)
{
    if (layer->constant_synapses > 0) {
        snn_copy_words(lines->current, lines->constant, snn_line_count(layer));
    } else {
        snn_fill_line(lines->current, &layer->bias, layer->output);
    }
    snn_add_synapses(lines->current, layer, call, layer->constant_synapses, layer->synapse_count, t,
                     y);
}

/* Of neurons that do not remember the membrane is the current, which is gathered once more, so that a
 * run that is not traced needs no memory for both. */
static void report_current(const snn_layer *layer, const snn_call *call,
                           const snn_scratch_lines *lines, const unsigned char *row, uint16_t t,
                           uint16_t y)
{
    const snn_values *output = layer->output;
    const uint16_t channels = output->channels;
    int32_t outputs[REPORTED];
    snn_step step = {
        .layer = layer->number,
        .timestep = t,
        .neuron = y * (uint32_t)snn_line_count(layer),
        .outputs = outputs,
        .membranes = lines->current,
    };
    snn_gather_current(layer, call, lines, t, y);
    for (uint16_t x = 0; x < output->width; ++x) {
        uint16_t c = 0;
        while (c < channels) {
            uint16_t count = 0;
            while (count < REPORTED && c + count < channels) {
                /* cppcheck-suppress unreadVariable ; by the trace, as step.outputs */
                outputs[count] = snn_get(row, output->type, (size_t)c + count);
                ++count;
            }
            step.count = count;
            snn_report(call, &step, layer->is_constant);
            step.neuron += count;
            step.membranes += count;
            c = (uint16_t)(c + count);
        }
        row += output->row_bytes;
    }
}

void snn_report_rows(const snn_layer *layer, const snn_call *call, const snn_scratch_lines *lines,
                     const unsigned char *rows, uint16_t t, uint16_t y)
{
    if (layer->fire != NULL && !layer->has_membrane) {
        report_current(layer, call, lines, rows, t, y);
    } else {
        snn_get_line(lines->current, rows, layer->output);
        snn_report_line(layer, call, lines->current, lines->membrane, t, y);
    }
}
