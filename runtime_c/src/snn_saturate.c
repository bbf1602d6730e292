#include "snn_row.h"

/* No sum overflows: the limit and the largest current together provably fit 32 bits. */
/* cppcheck-suppress constParameter ; all neurons have this type */
void snn_saturate(const void *op, const snn_values *output, unsigned char *rows, int32_t *current,
                  int32_t *membrane, int32_t *balance)
{
    const int32_t limit = ((const snn_saturate_op *)op)->limit;
    const size_t count = (size_t)output->channels * output->width;
    (void)balance;
    for (size_t i = 0; i < count; ++i) {
        const int32_t v = membrane[i] + current[i];
        membrane[i] = v > limit ? limit : v < -limit ? -limit : v;
    }
    snn_put_line(rows, output, membrane);
}
