/* snn_report.h - tells the caller's trace function what neurons did. */
#ifndef SNN_REPORT_H
#define SNN_REPORT_H

#include "snn_model.h"

/* Of a call that is traced: what `step` says; of a constant layer, for all further timesteps too. */
void snn_report(const snn_call *call, const snn_step *step, bool is_constant);

#endif
