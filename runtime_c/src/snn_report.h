/* snn_report.h - tells the caller's trace function what neurons did. */
#ifndef SNN_REPORT_H
#define SNN_REPORT_H

#include "snn_model.h"

/* `positions` rows of `layer` at timestep `t`, beginning with number `row`; a constant layer reports
 * all timesteps at once. */
void snn_report(const snn_call *call, const snn_layer *layer, uint16_t t, size_t row,
                uint16_t positions, const int32_t *outputs, const int32_t *membranes);

#endif
