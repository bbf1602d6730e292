#include "snn_report.h"

void snn_report(const snn_call *call, const snn_layer *layer, uint16_t t, size_t row,
                uint16_t positions, const int32_t *outputs, const int32_t *membranes)
{
    if (call->trace == NULL) {
        return;
    }
    snn_step step = {
        .layer = layer->number,
        .timestep = t,
        .count = (uint32_t)positions * layer->output->channels,
        .neuron = (uint32_t)row * layer->output->channels,
        .outputs = outputs,
        .membranes = membranes,
    };
    call->trace(call->user, &step);
    if (layer->is_constant) {
        while (++step.timestep < call->timesteps) {
            call->trace(call->user, &step);
        }
    }
}
