/* snn_pooled.h - pooling of lines as they come. */
#ifndef SNN_POOLED_H
#define SNN_POOLED_H

#include "snn_model.h"

/* Takes line y of `layer` at timestep t, whose rows are given, into the layer that pools it, and
 * reports what that completes. `scratch` holds a line of `layer`. */
void snn_pool_line(const snn_layer *layer, const snn_call *call, int32_t *scratch,
                   const unsigned char *rows, uint16_t t, uint16_t y);

#endif
