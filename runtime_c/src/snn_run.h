/* snn_run.h - the part of a run that the self-test shares, whose images may lie in flash. */
#ifndef SNN_RUN_H
#define SNN_RUN_H

#include "snn_model.h"

/* Runs the network on the input that is stored. */
int snn_evaluate(const snn_model *model, const snn_run_options *options);

#endif
