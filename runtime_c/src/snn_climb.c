#include "snn_row.h"

void snn_climb(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
               int32_t *membrane, int32_t *balance)
{
    const snn_climb_op *neuron = op;
    const size_t channels = output->channels, count = channels * output->width;
    (void)membrane, (void)balance;
    for (size_t c = 0; c < channels; ++c) { /* most sums do not reach the first threshold */
        const size_t begin = c * neuron->levels;
        const int32_t first = snn_at(&neuron->thresholds, begin);
        for (size_t i = c; i < count; i += channels) {
            uint16_t level = 0;
            if (current[i] >= first) {
                do {
                    ++level;
                } while (level < neuron->levels
                         && current[i] >= snn_at(&neuron->thresholds, begin + level));
            }
            current[i] = neuron->lowest + level;
        }
    }
    snn_put_line(rows, output, current);
}
