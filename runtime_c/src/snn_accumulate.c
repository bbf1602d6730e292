#include "snn_row.h"

void snn_accumulate(const void *op, const snn_values *output, unsigned char *rows,
                    int32_t *current, int32_t *membrane, int32_t *balance)
{
    const size_t count = (size_t)output->channels * output->width;
    (void)op;
    (void)balance;
    for (size_t i = 0; i < count; ++i) {
        current[i] += membrane[i];
        membrane[i] = current[i];
    }
    snn_put_line(rows, output, current);
}
