/* snn_line.h - the parts of evaluating one line of a layer, for the functions that run layers. */
#ifndef SNN_LINE_H
#define SNN_LINE_H

#include "snn_model.h"

/* The scratch of a layer, one line each; those that a layer does not need do not exist. */
typedef struct {
    int32_t *current;
    int32_t *membrane; /* with neurons that remember, else NULL */
    int32_t *balance;  /* with neurons that take spikes back */
    int32_t *constant; /* with constant synapses: what they and the bias add up to */
} snn_scratch_lines;

snn_scratch_lines snn_scratch_of(const snn_layer *layer, const snn_call *call);

/* Neurons in a line. */
static inline size_t snn_line_count(const snn_layer *layer)
{
    return (size_t)layer->output->channels * layer->output->width;
}

/* Prepares what line y will read; of a source of one plane, once. */
void snn_prepare_line(const snn_layer *layer, const snn_call *call, uint16_t y);

/* Adds what the synapses first <= i < end send to line y at timestep t. */
void snn_add_synapses(int32_t *line, const snn_layer *layer, const snn_call *call, uint16_t first,
                      uint16_t end, uint16_t t, uint16_t y);

/* Sets lines->current to what line y receives at timestep t. */
void snn_gather_current(const snn_layer *layer, const snn_call *call,
                        const snn_scratch_lines *lines, uint16_t t, uint16_t y);

/* One row in every position of a line: the array's, or 0 where it is NULL. */
void snn_fill_line(int32_t *line, const snn_array *row, const snn_values *values);

/* Where line y goes: what is pooled at once is not kept. */
unsigned char *snn_output_line(const snn_layer *layer, const snn_call *call, uint16_t t, uint16_t y);

/* Of a call that is traced: a line whose neurons have fired, to `rows`. It may change lines->current. */
void snn_report_rows(const snn_layer *layer, const snn_call *call, const snn_scratch_lines *lines,
                     const unsigned char *rows, uint16_t t, uint16_t y);

/* The same of numbers. `membranes`: or NULL. */
void snn_report_line(const snn_layer *layer, const snn_call *call, const int32_t *outputs,
                     const int32_t *membranes, uint16_t t, uint16_t y);

#endif
