/* Synapses at single positions, small enough to be checked by hand. */
#include "check.h"

static const snn_window WHOLE = {1, 1, 1, 1, 1, 1, 0, 0};

/* Two channels, one row, three columns, as bytes: 1 2 | 3 4 | 5 6. */
static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6};
static const snn_values as_bytes = {.channels = 2, .height = 1, .width = 3, .planes = 1,
                                    .type = SNN_U8, .row_bytes = 2, .plane_bytes = 6};

/* Ten channels at one position: spikes of channels 0, 3 and 9. */
static const unsigned char spikes[] = {0x09, 0x02};
static const snn_values as_bits = {.channels = 10, .height = 1, .width = 1, .planes = 1,
                                   .type = SNN_BITS, .row_bytes = 2, .plane_bytes = 2};

static void test_conv_with_padding(void)
{
    static const int8_t weights[] = {1, 0, 10, 0, /* next tap */ 0, 1, 0, 10, /* next */ 1, 1, 1, 1};
    const snn_conv_op op = {
        .weights = {weights, SNN_I8}, .window = {1, 3, 1, 1, 1, 1, 0, 1}, .groups = 1};
    const snn_synapse synapse = {snn_conv, &op, &as_bytes, 2};
    int32_t left[] = {0, 100}, middle[] = {0, 0};
    snn_conv(left, &synapse, bytes, 0, 0); /* the first tap lies on padding */
    CHECK_ROW(left, 7, 100 + 21 + 7);
    snn_conv(middle, &synapse, bytes, 0, 1);
    CHECK_ROW(middle, 1 + 20 + 11, 43 + 11);
}

static void test_conv_with_groups(void)
{
    static const int16_t weights[] = {300, 1, /* next group */ 2, -400};
    const snn_conv_op op = {.weights = {weights, SNN_I16}, .window = WHOLE, .groups = 2};
    snn_synapse synapse = {snn_conv, &op, &as_bytes, 4};
    int32_t current[4] = {0};
    synapse.add(current, &synapse, bytes, 0, 2);
    CHECK_ROW(current, 1500, 5, 12, -2400);
}

static void test_conv_of_bits_in_groups(void)
{
    static const int8_t weights[] = {1, 2, 3, 4, 5, /* next group */ 6, 7, 8, 9, 10};
    const snn_conv_op op = {.weights = {weights, SNN_I8}, .window = WHOLE, .groups = 2};
    const snn_synapse synapse = {snn_conv, &op, &as_bits, 2};
    int32_t current[2] = {0};
    snn_conv(current, &synapse, spikes, 0, 0);
    CHECK_ROW(current, 1 + 4, 10);
}

static void test_depthwise(void)
{
    static const int8_t weights[] = {1, -1, /* next tap */ 10, 100};
    const snn_conv_op op = {
        .weights = {weights, SNN_I8}, .window = {1, 2, 1, 1, 1, 2, 0, 0}, .groups = 2};
    const snn_synapse synapse = {snn_depthwise, &op, &as_bytes, 2};
    int32_t current[2] = {0};
    snn_depthwise(current, &synapse, bytes, 0, 0); /* taps two columns apart */
    CHECK_ROW(current, 1 + 50, -2 + 600);
}

static void test_linear(void)
{
    static const int8_t weights[] = {1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
    const snn_linear_op op = {.weights = {weights, SNN_I8}};
    const snn_synapse synapse = {snn_linear, &op, &as_bytes, 2};
    int32_t current[2] = {0};
    snn_linear(current, &synapse, bytes, 0, 0);
    CHECK_ROW(current, 9, 12);
}

static void test_scale(void)
{
    static const int16_t weights[] = {1000, -1000};
    const snn_scale_op op = {.weights = {weights, SNN_I16}};
    const snn_synapse synapse = {snn_scale, &op, &as_bytes, 2};
    int32_t current[] = {1, 1};
    snn_scale(current, &synapse, bytes, 0, 1);
    CHECK_ROW(current, 3001, -3999);
}

static void test_pools(void)
{
    static const int8_t factors[] = {3, 2};
    const snn_window window = {1, 2, 1, 2, 1, 1, 0, 1};
    const snn_sum_pool_op sum = {.multiplier = {factors, SNN_I8}, .window = window, .width = 2};
    const snn_max_pool_op max = {.window = window};
    const snn_synapse summed = {snn_sum_pool, &sum, &as_bytes, 2};
    const snn_synapse largest = {snn_max_pool, &max, &as_bytes, 2};
    int32_t current[2] = {0};
    snn_sum_pool(current, &summed, bytes, 0, 0); /* half of the window lies on padding */
    CHECK_ROW(current, 3, 6);
    snn_max_pool(current, &largest, bytes, 0, 1);
    CHECK_ROW(current, 5, 6);
}

static void test_select(void)
{
    static const int16_t channels[] = {1, -1, 0}, rows[] = {0, -1}, columns[] = {2};
    const snn_select_op op = {channels, rows, columns};
    const snn_synapse synapse = {snn_select, &op, &as_bytes, 3};
    int32_t current[3] = {0}, nothing[3] = {0};
    snn_select(current, &synapse, bytes, 0, 0);
    CHECK_ROW(current, 6, 0, 5);
    snn_select(nothing, &synapse, bytes, 1, 0);
    CHECK_ROW(nothing, 0, 0, 0);
}

int main(void)
{
    test_conv_with_padding();
    test_conv_with_groups();
    test_conv_of_bits_in_groups();
    test_depthwise();
    test_linear();
    test_scale();
    test_pools();
    test_select();
    return 0;
}
