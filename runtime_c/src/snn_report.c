#include "snn_report.h"

void snn_report(const snn_call *call, const snn_step *step, bool is_constant)
{
    if (call->trace == NULL) {
        return;
    }
    snn_step now = *step;
    call->trace(call->user, &now);
    if (is_constant) {
        while (++now.timestep < call->timesteps) {
            call->trace(call->user, &now);
        }
    }
}
