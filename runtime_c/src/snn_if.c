#include "snn_bits.h"
#include "snn_row.h"

/* At most one spike, subtracted: without branches, which compilers make into vectors. */
static void fire_one(const snn_if_op *neuron, uint16_t channels, int32_t *restrict current,
                     int32_t *restrict membrane)
{
    const SNN_FLASH int32_t *restrict threshold = neuron->threshold;
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
    const SNN_FLASH int32_t *restrict threshold = neuron->threshold;
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t v = membrane[c] + current[c];
        const int32_t spikes = (v >= threshold[c]) - ((v < 0) & (balance[c] > 0));
        membrane[c] = v - spikes * threshold[c];
        balance[c] += spikes;
        current[c] = spikes;
    }
}

/* At most one spike, subtracted, of a membrane that is clamped on both sides. */
static void fire_clamped(const snn_if_op *neuron, uint16_t channels, int32_t *restrict current,
                         int32_t *restrict membrane)
{
    const SNN_FLASH int32_t *restrict threshold = neuron->threshold;
    const SNN_FLASH int32_t *restrict v_min = neuron->v_min;
    const SNN_FLASH int32_t *restrict v_max = neuron->v_max;
    for (uint16_t c = 0; c < channels; ++c) {
        int32_t v = membrane[c] + current[c];
        v = v < v_min[c] ? v_min[c] : v;
        v = v > v_max[c] ? v_max[c] : v;
        const int32_t spikes = v >= threshold[c];
        membrane[c] = v - spikes * threshold[c];
        current[c] = spikes;
    }
}

static void fire_any(const snn_if_op *neuron, uint16_t channels, int32_t *current,
                     int32_t *membrane, int32_t *balance)
{
    for (uint16_t c = 0; c < channels; ++c) {
        const int32_t threshold = neuron->threshold[c];
        int32_t v = membrane[c] + current[c];
        int32_t spikes;

        if (neuron->v_min != NULL && v < neuron->v_min[c]) {
            v = neuron->v_min[c];
        }
        if (neuron->v_max != NULL && v > neuron->v_max[c]) {
            v = neuron->v_max[c];
        }
        if (v >= threshold) {
            spikes = neuron->max_spikes == 1 ? 1 : v / threshold;
            if (spikes > neuron->max_spikes) {
                spikes = neuron->max_spikes;
            }
        } else if (neuron->takes_back && v < 0 && balance[c] > 0) {
            spikes = -1;
        } else {
            spikes = 0;
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

/* The same for neuron `k` alone: its spike as bit k. */
static inline unsigned fire_bit(const SNN_FLASH int32_t *threshold, const int32_t *current,
                                int32_t *membrane, unsigned k)
{
    const int32_t v = membrane[k] + current[k], theta = threshold[k];
    membrane[k] = v >= theta ? v - theta : v;
    return v >= theta ? 1u << k : 0u;
}

/* At most one spike, subtracted, and the spikes packed at once. */
static void fire_bits(const snn_if_op *neuron, uint16_t channels, uint8_t *row,
                      const int32_t *restrict current, int32_t *restrict membrane)
{
    const SNN_FLASH int32_t *restrict threshold = neuron->threshold;
    unsigned bits;
    for (; channels >= 8; channels = (uint16_t)(channels - 8)) {
        bits = fire_bit(threshold, current, membrane, 0);
        bits |= fire_bit(threshold, current, membrane, 1);
        bits |= fire_bit(threshold, current, membrane, 2);
        bits |= fire_bit(threshold, current, membrane, 3);
        bits |= fire_bit(threshold, current, membrane, 4);
        bits |= fire_bit(threshold, current, membrane, 5);
        bits |= fire_bit(threshold, current, membrane, 6);
        bits |= fire_bit(threshold, current, membrane, 7);
        *row++ = (uint8_t)bits;
        threshold += 8;
        current += 8;
        membrane += 8;
    }
    if (channels > 0) {
        bits = 0;
        for (uint16_t k = 0; k < channels; ++k) {
            bits |= fire_bit(threshold, current, membrane, k);
        }
        *row = (uint8_t)bits;
    }
}

void snn_if(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
            int32_t *membrane, int32_t *balance)
{
    const snn_if_op *neuron = op;
    const uint16_t channels = output->channels;
    const bool one = neuron->max_spikes == 1 && !neuron->reset_to_zero;
    const bool usual = one && neuron->v_min == NULL && neuron->v_max == NULL;
    const bool clamped =
        one && neuron->v_min != NULL && neuron->v_max != NULL && !neuron->takes_back;
    const bool packs = usual && output->type == SNN_BITS && !SNN_HAS_VECTORS;
    for (uint16_t x = 0; x < output->width; ++x) {
        int32_t *row = current + (size_t)x * channels;
        if (packs) {
            fire_bits(neuron, channels, rows + x * output->row_bytes, row, membrane);
        } else if (clamped) {
            fire_clamped(neuron, channels, row, membrane);
        } else if (!usual) {
            fire_any(neuron, channels, row, membrane, balance);
        } else if (neuron->takes_back) {
            fire_signed(neuron, channels, row, membrane, balance);
        } else {
            fire_one(neuron, channels, row, membrane);
        }
        membrane += channels;
        if (neuron->takes_back) {
            balance += channels;
        }
    }
    if (!packs) {
        snn_put_line(rows, output, current);
    }
}
