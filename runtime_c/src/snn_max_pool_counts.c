/* Max pooling of spike trains: the largest running count of a window is passed on, so that after
 * every timestep the spikes sent equal the largest number received.
 *
 *     t            0 1 2 3 4
 *     input a      1 0 0 1 1     running count  1 1 1 2 3
 *     input b      0 1 1 0 0                    0 1 2 2 2
 *     sent         1 0 1 0 1     largest        1 1 2 2 3
 *
 * In a stream, where counts would grow without end, each is kept as what it lacks to the largest.
 */
#include <string.h>

#include "snn_report.h"
#include "snn_row.h"
#include "snn_window.h"

/* One position: where it is, and three arrays of scratch. */
typedef struct {
    uint16_t y, x;
    size_t row;
    int32_t *sent;     /* [channel]: what it sends at this timestep */
    int32_t *passed;   /* [channel]: what it has sent in all */
    int32_t *received; /* [tap][channel]: running counts; those of padding mean nothing */
} position;

static uint16_t tap_count(const snn_window *window)
{
    return (uint16_t)(window->kernel_height * window->kernel_width);
}

/* The row of the source that tap number `tap` reads, or NULL where it falls on padding. */
static const unsigned char *tap_row(const snn_synapse *synapse, const unsigned char *plane,
                                    const position *at, uint16_t tap)
{
    const snn_window *window = &((const snn_max_pool_op *)synapse->op)->window;
    const uint16_t ky = (uint16_t)(tap / window->kernel_width);
    const uint16_t kx = (uint16_t)(tap % window->kernel_width);
    const int32_t iy = snn_tap_y(window, synapse->source, at->y, ky);
    const int32_t ix = snn_tap_x(window, synapse->source, at->x, kx);
    if (iy == SNN_PADDING || ix == SNN_PADDING) {
        return NULL;
    }
    return plane + snn_row_offset(synapse->source, (uint16_t)iy, (uint16_t)ix);
}

/* The largest running count of each channel. */
static void largest_counts(int32_t *to, const snn_synapse *synapse, const unsigned char *plane,
                           const position *at, uint16_t taps)
{
    bool first = true;
    for (uint16_t tap = 0; tap < taps; ++tap) {
        const int32_t *counts = at->received + (size_t)tap * synapse->channels;
        if (tap_row(synapse, plane, at, tap) == NULL) {
            continue;
        }
        for (uint16_t c = 0; c < synapse->channels; ++c) {
            if (first || counts[c] > to[c]) {
                to[c] = counts[c];
            }
        }
        first = false;
    }
}

static void step(const snn_synapse *synapse, const unsigned char *plane, const position *at,
                 uint16_t taps)
{
    for (uint16_t tap = 0; tap < taps; ++tap) {
        const unsigned char *row = tap_row(synapse, plane, at, tap);
        if (row != NULL) {
            snn_add_row(at->received + (size_t)tap * synapse->channels, row, synapse->source->type,
                        synapse->channels);
        }
    }
    largest_counts(at->sent, synapse, plane, at, taps);
    for (uint16_t c = 0; c < synapse->channels; ++c) {
        at->sent[c] -= at->passed[c];
        at->passed[c] += at->sent[c];
    }
}

/* What the counts of a stream lack to the largest of them, `most` at most. */
static void forget(const position *at, size_t channels, uint16_t taps, int32_t most)
{
    int32_t *count = at->received;
    for (uint16_t tap = 0; tap < taps; ++tap) {
        for (size_t c = 0; c < channels; ++c) {
            const int32_t behind = *count - at->sent[c];
            *count++ = behind < -most ? -most : behind;
        }
    }
}

static void pool_row(const snn_layer *layer, const snn_call *call, const position *at)
{
    const snn_synapse *synapse = &layer->synapses[0];
    const snn_max_pool_op *op = synapse->op;
    const uint16_t taps = tap_count(&op->window);
    const size_t counts = (size_t)taps * synapse->channels;

    if (call->begin == 0) {
        (void)memset(at->received, 0, counts * sizeof *at->received);
        (void)memset(at->passed, 0, synapse->channels * sizeof *at->passed);
    } else {
        snn_get_row(at->received,
                    call->arena + layer->membrane->offset + at->row * layer->membrane->row_bytes,
                    layer->membrane->type, counts);
        largest_counts(at->passed, synapse, snn_plane(call->arena, synapse->source, call->begin), at,
                       taps);
    }
    for (uint16_t t = call->begin; t < call->end; ++t) {
        step(synapse, snn_plane(call->arena, synapse->source, t), at, taps);
        snn_put_row(snn_plane(call->arena, layer->output, t) + at->row * layer->output->row_bytes,
                    layer->output->type, synapse->channels, at->sent);
        const snn_step done = {
            .layer = layer->number,
            .timestep = t,
            .count = synapse->channels,
            .neuron = (uint32_t)at->row * synapse->channels,
            .outputs = at->sent,
        };
        snn_report(call, &done, false);
        if (op->most_behind > 0) {
            forget(at, synapse->channels, taps, op->most_behind);
        }
    }
    if (layer->membrane != NULL) {
        snn_put_row(call->arena + layer->membrane->offset + at->row * layer->membrane->row_bytes,
                    layer->membrane->type, counts, at->received);
    }
}

void snn_max_pool_counts(const snn_layer *layer, const snn_call *call)
{
    position at;
    at.row = 0;
    at.sent = (int32_t *)(void *)(call->arena + layer->scratch);
    at.passed = at.sent + layer->output->channels;
    at.received = at.passed + layer->output->channels;
    for (at.y = 0; at.y < layer->output->height; ++at.y) {
        for (at.x = 0; at.x < layer->output->width; ++at.x) {
            pool_row(layer, call, &at);
            ++at.row;
        }
    }
}
