/* snn_stream.h - the part of a step that the self-test shares, whose bins may lie in flash. */
#ifndef SNN_STREAM_H
#define SNN_STREAM_H

#include "snn_model.h"

/* 0, or why the stream cannot go on in the arena. */
int snn_stream_check(const snn_model *model, const void *arena, size_t arena_bytes);

/* One timestep on the input that is stored. */
void snn_stream_advance(const snn_model *model, unsigned char *arena, snn_trace_fn *trace,
                        void *user);

#endif
