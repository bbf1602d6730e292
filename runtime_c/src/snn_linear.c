#include "snn_bytes.h"
#include "snn_row.h"

#define MOST_LISTED 32 /* events at a time */

/* Inputs that are not 0, and where the weights of an event whose word is 0 begin. */
typedef struct {
    snn_event events[MOST_LISTED];
    uint16_t count;
    size_t origin; /* bytes into the weights */
} list;

static void add_listed(int32_t *current, uint16_t outputs, const snn_array *weights, list *listed)
{
    const snn_slice slice = {listed->events, listed->events + listed->count,
                             (uintptr_t)weights->data + listed->origin};
    if (listed->count > 0) {
        uint16_t o = 0;
        while (SNN_ADD_8_IS_WIDE && outputs - o >= 8) {
            snn_add_8(current + o, o, &slice, 1);
            o = (uint16_t)(o + 8);
        }
        while (o < outputs) {
            snn_add_4(current + o, o, &slice, 1);
            o = (uint16_t)(o + 4);
        }
    }
    listed->count = 0;
}

/* Bytes without sign, whose weights are bytes, for a multiple of four outputs. */
static void add_bytes(int32_t *current, uint16_t outputs, const uint8_t *bytes, size_t count,
                      const snn_array *weights)
{
    list listed = {.count = 0};
    size_t at = 0;
    for (const uint8_t *end = bytes + count; bytes < end; ++bytes) {
        if (*bytes != 0) {
            if (listed.count == MOST_LISTED || at - listed.origin >= SNN_MOST_BYTES) {
                add_listed(current, outputs, weights, &listed);
            }
            if (listed.count == 0) {
                listed.origin = at;
            }
            listed.events[listed.count].word = (uint16_t)((at - listed.origin) / 2);
            listed.events[listed.count].count = *bytes;
            ++listed.count;
        }
        at += outputs;
    }
    add_listed(current, outputs, weights, &listed);
}

void snn_linear(int32_t *line, const snn_synapse *synapse, const unsigned char *plane, uint16_t y)
{
    const snn_linear_op *op = synapse->op;
    const snn_values *source = synapse->source;
    const size_t weights_per_row = (size_t)source->channels * synapse->channels;
    const size_t rows = (size_t)source->height * source->width;
    (void)y; /* the layer has a single position */

    if (source->type == SNN_U8 && op->weights.type == SNN_I8 && synapse->channels % 4 == 0) {
        add_bytes(line, synapse->channels, plane, rows * source->channels, &op->weights);
        return;
    }
    for (size_t i = 0; i < rows; ++i) {
        snn_add_events(line, synapse->channels, plane + i * source->row_bytes, source->type, 0,
                       source->channels, &op->weights, i * weights_per_row);
    }
}
