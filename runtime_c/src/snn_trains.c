/* Neurons whose current is the same at every timestep, as in a first layer: all their spikes at once.
 * Most of them never fire, which one comparison tells. */
#include "snn_line.h"
#include "snn_pooled.h"
#include "snn_row.h"

/* The spikes of a line, whose rows at `rows`, of all timesteps, are 0. */
static void fire(const snn_layer *layer, uint16_t timesteps, unsigned char *rows,
                 const int32_t *current)
{
    const snn_if_op *neuron = layer->neuron;
    const snn_values *output = layer->output;
    const size_t channels = output->channels, count = snn_line_count(layer);
    const size_t row_bytes = output->row_bytes, plane_bytes = output->plane_bytes;

    for (size_t c = 0; c < channels; ++c) {
        const int32_t threshold = neuron->threshold[c];
        const int32_t initial = layer->initial.data == NULL ? 0 : snn_at(&layer->initial, c);
        const uint32_t gap = (uint32_t)threshold - (uint32_t)initial;
        const uint32_t needed = (gap - 1) / timesteps + 1; /* current for the first spike */
        const int32_t least = initial >= threshold   ? INT32_MIN
                              : needed < INT32_MAX ? (int32_t)needed
                                                   : INT32_MAX;
        const uint8_t bit = (uint8_t)(1u << (c & 7));
        unsigned char *row = rows + c / 8;

        for (size_t i = c; i < count; i += channels) {
            if (current[i] >= least) {
                unsigned char *byte = row;
                int32_t v = initial;
                uint16_t t = timesteps; /* one at least */
                do {
                    v += current[i];
                    if (v >= threshold) {
                        v -= threshold;
                        *byte |= bit;
                    }
                    byte += plane_bytes;
                } while (--t > 0);
            }
            row += row_bytes;
        }
    }
}

/* Tells the trace what neurons did at timestep t, from their spikes. */
static void report(const snn_layer *layer, const snn_call *call, const snn_scratch_lines *lines,
                   const unsigned char *rows, uint16_t t, uint16_t y)
{
    const snn_if_op *neuron = layer->neuron;
    const size_t channels = layer->output->channels, count = snn_line_count(layer);
    int32_t *const spikes = lines->current;

    if (t == 0) {
        snn_fill_line(lines->membrane, &layer->initial, layer->output);
    }
    snn_get_line(spikes, rows, layer->output);
    for (size_t i = 0; i < count; ++i) {
        lines->membrane[i] += lines->constant[i] - spikes[i] * neuron->threshold[i % channels];
    }
    snn_report_line(layer, call, spikes, lines->membrane, t, y);
}

void snn_trains(const snn_layer *layer, const snn_call *call)
{
    const snn_scratch_lines lines = snn_scratch_of(layer, call);
    const snn_values *output = layer->output;
    const uint16_t timesteps = call->timesteps;

    for (uint16_t y = 0; y < output->height; ++y) {
        unsigned char *const rows = snn_output_line(layer, call, 0, y);
        snn_prepare_line(layer, call, y);
        snn_fill_line(lines.constant, &layer->bias, output);
        snn_add_synapses(lines.constant, layer, call, 0, layer->synapse_count, 0, y);
        uint16_t t = 0;
        do { /* there is one timestep at least */
            snn_clear(rows + t * output->plane_bytes, output->width * output->row_bytes);
        } while (++t < timesteps);
        fire(layer, timesteps, rows, lines.constant);
        t = 0;
        do {
            unsigned char *const line = rows + t * output->plane_bytes;
            if (call->trace != NULL) {
                report(layer, call, &lines, line, t, y);
            }
            if (layer->pooled != NULL) {
                snn_pool_line(layer, call, lines.current, line, t, y);
            }
        } while (++t < timesteps);
    }
}
