#include "snn_row.h"

/* At most one spike, subtracted: without branches, which compilers make into vectors. */
static void fire_one(const snn_if_op *neuron, uint16_t channels, int32_t *restrict current,
                     int32_t *restrict membrane)
{
    const int32_t *restrict threshold = neuron->threshold;
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t v = membrane[c] + current[c];
        const int32_t spikes = v >= threshold[c];
        membrane[c] = v - spikes * threshold[c];
        current[c] = spikes;
    }
}

/* The same, or one spike taken back. */
static void fire_signed(const snn_if_op *neuron, uint16_t channels, int32_t *restrict current,
                        int32_t *restrict membrane, int32_t *restrict balance)
{
    const int32_t *restrict threshold = neuron->threshold;
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t v = membrane[c] + current[c];
        const int32_t spikes = (v >= threshold[c]) - ((v < 0) & (balance[c] > 0));
        membrane[c] = v - spikes * threshold[c];
        balance[c] += spikes;
        current[c] = spikes;
    }
}

static void fire_any(const snn_if_op *neuron, uint16_t channels, int32_t *current,
                     int32_t *membrane, int32_t *balance)
{
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t threshold = neuron->threshold[c];
        int32_t v = membrane[c] + current[c];
        int32_t spikes = 0;

        if (neuron->v_min != NULL && v < neuron->v_min[c]) {
            v = neuron->v_min[c];
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

void snn_if(const void *op, uint16_t channels, uint16_t width, int32_t *current, int32_t *membrane,
            int32_t *balance)
{
    const snn_if_op *neuron = op;
    const bool usual = neuron->max_spikes == 1 && !neuron->reset_to_zero && neuron->v_min == NULL;
    for (uint16_t x = 0; x < width; ++x) {
        if (!usual) {
            fire_any(neuron, channels, current, membrane, balance);
        } else if (neuron->takes_back) {
            fire_signed(neuron, channels, current, membrane, balance);
        } else {
            fire_one(neuron, channels, current, membrane);
        }
        current += channels;
        membrane += channels;
        if (neuron->takes_back) {
            balance += channels;
        }
    }
}
