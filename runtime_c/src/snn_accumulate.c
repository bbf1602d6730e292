#include "snn_model.h"

void snn_accumulate(const void *op, uint16_t channels, int32_t *current, int32_t *membrane,
                    int32_t *balance)
{
    (void)op;
    (void)balance;
    for (uint16_t c = 0; c < channels; ++c) {
        membrane[c] += current[c];
        current[c] = membrane[c];
    }
}
