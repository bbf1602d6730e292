#include "snn_row.h"

void snn_if(const void *op, uint16_t channels, int32_t *current, int32_t *membrane,
            int32_t *balance)
{
    const snn_if_op *neuron = op;
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t threshold = snn_at(&neuron->threshold, c);
        int32_t v = membrane[c] + current[c];
        int32_t spikes = 0;

        if (neuron->v_min.data != NULL && v < snn_at(&neuron->v_min, c)) {
            v = snn_at(&neuron->v_min, c);
        }
        if (v >= threshold) {
            spikes = neuron->max_spikes == 1 ? 1 : v / threshold;
            if (spikes > neuron->max_spikes) {
                spikes = neuron->max_spikes;
            }
        } else if (neuron->takes_back && v < 0 && balance[c] > 0) {
            spikes = -1;
        }
        if (spikes > 0 && neuron->reset_to_zero) {
            v = 0;
        } else {
            v -= spikes * threshold;
        }
        if (neuron->takes_back) {
            balance[c] += spikes;
        }
        membrane[c] = v;
        current[c] = spikes;
    }
}
