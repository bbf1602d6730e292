#include "snn_line.h"

#include <string.h>

#include "snn_report.h"
#include "snn_row.h"

snn_scratch_lines snn_scratch_of(const snn_layer *layer, const snn_call *call)
{
    const size_t count = snn_line_count(layer);
    snn_scratch_lines lines;
    lines.current = (int32_t *)(void *)(call->arena + layer->scratch);
    lines.membrane = lines.current + count;
    lines.balance = lines.membrane + (layer->fire != NULL ? count : 0);
    lines.constant = lines.balance + (layer->has_balance ? count : 0);
    if (!layer->has_membrane && call->trace == NULL) {
        lines.membrane = NULL;
    }
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

void snn_copy_words(int32_t *to, const int32_t *from, size_t count)
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
