/* snn_events.h - lists of what is not 0 in the rows of a source, which snn_lanes.c reads.
 *
 * The events of a row of the source, those of its values that are not 0, are listed once, and all
 * windows that see the row share them: what a window sees of a row is a contiguous part of its list.
 * The lists of the rows that a window spans lie in a ring.
 *
 *     row iy of the source  padding    x=0     x=1   x=2        x=3       padding
 *     events                        [ c2 c5 | c1 |       | c0 c3 c5 ]
 *     first                    0       0       2    3       3          6    6
 *
 * Where there are few channels, and so more windows than events, the rows that the windows of a line
 * span are merged into one list, made anew for each line: then a window's part of it is the only one.
 */
#ifndef SNN_EVENTS_H
#define SNN_EVENTS_H

#include "snn_window.h"

/* An event: which weights it meets, counted in words from those of column 0, and how many spikes. */
typedef struct {
    uint16_t word;
    int16_t count;
} snn_event;

/* A row's list within the ring: first[i] is the index of the first event in column i, counted from
 * where the first window begins, or beyond. */
typedef struct {
    uint16_t *first; /* [snn_columns + 1] */
    snn_event *events;
} snn_event_row;

/* The events that a window sees of a row, at least one. An event's weights are at `origin` plus its
 * words. That is a number and no pointer, because no weight need be there: what the window sees begins
 * further on. */
typedef struct {
    const snn_event *begin, *end;
    uintptr_t origin;
} snn_slice;

/* Columns of a list. */
static inline size_t snn_columns(const snn_synapse *synapse)
{
    const snn_lanes_op *op = synapse->op;
    return snn_columns_seen(&op->window, synapse->source, synapse->width);
}

/* Of the array `first`, padded. */
static inline size_t snn_first_bytes(size_t columns)
{
    const size_t bytes = (columns + 1) * sizeof(uint16_t);
    return (bytes + sizeof(snn_event) - 1) / sizeof(snn_event) * sizeof(snn_event);
}

/* The list of row `iy` in the ring at `events`. */
static inline snn_event_row snn_row_of(const snn_synapse *synapse, const unsigned char *events,
                                       uint16_t iy)
{
    const snn_lanes_op *op = synapse->op;
    const snn_values *source = synapse->source;
    const size_t most = (size_t)source->width * source->channels + 1;
    const size_t slot = iy % op->window.kernel_height;
    const size_t first_bytes = snn_first_bytes(snn_columns(synapse));
    unsigned char *at =
        (unsigned char *)events + slot * (first_bytes + most * sizeof(snn_event));
    const snn_event_row row = {(uint16_t *)(void *)at, (snn_event *)(void *)(at + first_bytes)};
    return row;
}

#endif
