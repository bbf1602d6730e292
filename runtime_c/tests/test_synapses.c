/* Synapses of single lines, small enough to be checked by hand. */
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
    const snn_synapse synapse = {
        .add = snn_conv, .op = &op, .source = &as_bytes, .channels = 2, .width = 2};
    int32_t line[] = {0, 100, 0, 0};
    snn_conv(line, &synapse, bytes, 0); /* the first tap of the first lies on padding */
    CHECK_ROW(line, 7, 100 + 21 + 7, 1 + 20 + 11, 43 + 11);
}

static void test_conv_with_groups(void)
{
    static const int16_t weights[] = {300, 1, /* next group */ 2, -400};
    const snn_conv_op op = {.weights = {weights, SNN_I16}, .window = WHOLE, .groups = 2};
    snn_synapse synapse = {
        .add = snn_conv, .op = &op, .source = &as_bytes, .channels = 4, .width = 3};
    int32_t line[12] = {0};
    synapse.add(line, &synapse, bytes, 0);
    CHECK_ROW(line, 300, 1, 4, -800, 900, 3, 8, -1600, 1500, 5, 12, -2400);
}

static void test_conv_of_bits_in_groups(void)
{
    static const int8_t weights[] = {1, 2, 3, 4, 5, /* next group */ 6, 7, 8, 9, 10};
    const snn_conv_op op = {.weights = {weights, SNN_I8}, .window = WHOLE, .groups = 2};
    const snn_synapse synapse = {
        .add = snn_conv, .op = &op, .source = &as_bits, .channels = 2, .width = 1};
    int32_t line[2] = {0};
    snn_conv(line, &synapse, spikes, 0);
    CHECK_ROW(line, 1 + 4, 10);
}

static void test_depthwise(void)
{
    static const int8_t weights[] = {1, -1, /* next tap */ 10, 100};
    const snn_conv_op op = {
        .weights = {weights, SNN_I8}, .window = {1, 2, 1, 1, 1, 2, 0, 0}, .groups = 2};
    const snn_synapse synapse = {
        .add = snn_depthwise, .op = &op, .source = &as_bytes, .channels = 2, .width = 1};
    int32_t line[2] = {0};
    snn_depthwise(line, &synapse, bytes, 0); /* taps two columns apart */
    CHECK_ROW(line, 1 + 50, -2 + 600);
}

static void test_linear(void)
{
    static const int8_t weights[] = {1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
    const snn_linear_op op = {.weights = {weights, SNN_I8}};
    const snn_synapse synapse = {
        .add = snn_linear, .op = &op, .source = &as_bytes, .channels = 2, .width = 1};
    int32_t line[2] = {0};
    snn_linear(line, &synapse, bytes, 0);
    CHECK_ROW(line, 9, 12);
}

static void test_scale(void)
{
    static const int16_t weights[] = {1000, -1000};
    const snn_scale_op op = {.weights = {weights, SNN_I16}};
    const snn_synapse synapse = {
        .add = snn_scale, .op = &op, .source = &as_bytes, .channels = 2, .width = 2};
    int32_t line[] = {0, 0, 1, 1};
    snn_scale(line, &synapse, bytes, 0);
    CHECK_ROW(line, 1000, -2000, 3001, -3999);
}

static void test_scale_of_bits(void)
{
    static const int16_t weights[] = {1, 2, 3, 400, 5, 6, 7, 8, 9, -1000};
    const snn_scale_op op = {.weights = {weights, SNN_I16}};
    const snn_synapse synapse = {
        .add = snn_scale, .op = &op, .source = &as_bits, .channels = 10, .width = 1};
    int32_t line[10] = {0};
    snn_scale(line, &synapse, spikes, 0);
    CHECK_ROW(line, 1, 0, 0, 400, 0, 0, 0, 0, 0, -1000);
}

static void test_pools(void)
{
    static const int8_t factors[] = {3, 2};
    const snn_window window = {1, 2, 1, 2, 1, 1, 0, 1};
    const snn_sum_pool_op sum = {.multiplier = {factors, SNN_I8}, .window = window};
    const snn_max_pool_op max = {.window = window};
    const snn_synapse summed = {
        .add = snn_sum_pool, .op = &sum, .source = &as_bytes, .channels = 2, .width = 2};
    const snn_synapse largest = {
        .add = snn_max_pool, .op = &max, .source = &as_bytes, .channels = 2, .width = 2};
    int32_t sums[4] = {0}, maxima[4] = {0};
    snn_sum_pool(sums, &summed, bytes, 0); /* half of the first window lies on padding */
    CHECK_ROW(sums, 3, 6, 16, 20);
    snn_max_pool(maxima, &largest, bytes, 0);
    CHECK_ROW(maxima, 1, 2, 5, 6);
}

static void test_select(void)
{
    static const int16_t channels[] = {1, -1, 0}, rows[] = {0, -1}, columns[] = {2, -1};
    const snn_select_op op = {channels, rows, columns};
    const snn_synapse synapse = {
        .add = snn_select, .op = &op, .source = &as_bytes, .channels = 3, .width = 2};
    int32_t line[6] = {0}, nothing[6] = {0};
    snn_select(line, &synapse, bytes, 0);
    CHECK_ROW(line, 6, 0, 5, 0, 0, 0);
    snn_select(nothing, &synapse, bytes, 1);
    CHECK_ROW(nothing, 0, 0, 0, 0, 0, 0);
}

/* Three inputs of two channels, a window of two columns, three outputs: events of columns 0 and 2. */
static const unsigned char sparse[] = {3, 0, 0, 0, 0, 2};
static const int32_t words[] = {
    /* tap 0, channel 0 */ 1 + (2 << 16), 3, /* channel 1 */ -1 + (100 << 16), -300,
    /* tap 1, channel 0 */ 5 - (6 << 16), 7, /* channel 1 */ 1000 + (0 << 16), 0,
};

static void prepare_and_add(int32_t *line, const snn_synapse *synapse)
{
    static int32_t prepared[32];
    synapse->prepare(synapse, (unsigned char *)prepared, sparse, 0);
    synapse->add(line, synapse, (const unsigned char *)prepared, 0);
}

static void test_lanes(void)
{
    const snn_lanes_op op = {
        .weights = words, .window = {1, 2, 1, 1, 1, 1, 0, 1}, .words = 2, .rows_at_once = 1};
    const snn_synapse synapse = {.add = snn_lanes, .op = &op, .source = &as_bytes, .channels = 3,
                                 .width = 4, .prepare = snn_list_counts};
    int32_t line[12] = {10, 20, 30};
    prepare_and_add(line, &synapse);
    CHECK_ROW(line, 10 + 15, 20 - 18, 30 + 21, /* tap 0 lies on padding */
              3, 6, 9,                         /* column 0 under tap 0 */
              2000, 0, 0,                      /* column 2 under tap 1 */
              -2, 200, -600);                  /* and under tap 0, what lies beyond is padding */
}

static void test_wide(void)
{
    static const int32_t pairs[] = {
        (int32_t)0x0002FFFF, 0, 0, 0, /* channel 0: -1, 2 */ 0, 0, 0, 0x00007FFF /* channel 1 */
    };
    const snn_lanes_op op = {.weights = pairs, .window = WHOLE, .words = 4};
    const snn_synapse synapse = {.add = snn_wide, .op = &op, .source = &as_bytes, .channels = 8,
                                 .width = 3, .prepare = snn_list_counts};
    int32_t line[24] = {0};
    prepare_and_add(line, &synapse);
    CHECK_ROW(line, -3, 6, 0, 0, 0, 0, 0, 0, /* */ 0, 0, 0, 0, 0, 0, 0, 0, /* */
              0, 0, 0, 0, 0, 0, 2 * 0x7FFF, 0);
}

/* The same convolution as in test_lanes: a run holds tap 1, then tap 0. */
static void test_scatter(void)
{
    static const int32_t runs[] = {
        /* channel 0 */ 5 - (6 << 16), 7, 1 + (2 << 16), 3,
        /* channel 1 */ 1000 + (0 << 16), 0, -1 + (100 << 16), -300,
    };
    const snn_scatter_op op = {.weights = runs, .window = {1, 2, 1, 1, 1, 1, 0, 1}, .words = 2,
                               .lines = 1, .height = 1};
    const snn_synapse synapse = {.add = snn_scattered, .op = &op, .source = &as_bytes,
                                 .channels = 3, .width = 4, .prepare = snn_scatter};
    int32_t line[12] = {10, 20, 30};
    prepare_and_add(line, &synapse);
    CHECK_ROW(line, 10 + 15, 20 - 18, 30 + 21, 3, 6, 9, 2000, 0, 0, -2, 200, -600);
}

/* Four lines of one input, a window of three by three at stride two: sums of two lines are open. */
static void test_scatter_with_stride(void)
{
    static const unsigned char image[] = {1, 0, 0, 0, /* */ 0, 1, 0, 0, /* */ 0, 0, 1, 0, /* */
                                          0, 0, 0, 1};
    static const snn_values source = {.channels = 1, .height = 4, .width = 4, .planes = 1,
                                      .type = SNN_U8, .row_bytes = 1, .plane_bytes = 16};
    static const int32_t taps[] = {/* kx = 2, 0, 1 */ 3, 0, 1, 0, 2, 0, /* next row */ 6, 0, 4, 0, 5,
                                   0, /* last */ 9, 0, 7, 0, 8, 0};
    const snn_scatter_op op = {
        .weights = taps, .window = {3, 3, 2, 2, 1, 1, 1, 1}, .words = 2, .lines = 2, .height = 2};
    const snn_synapse synapse = {.add = snn_scattered, .op = &op, .source = &source, .channels = 1,
                                 .width = 2, .prepare = snn_scatter};
    int32_t sums[8], first[2] = {0}, second[2] = {0};
    snn_scatter(&synapse, (unsigned char *)sums, image, 0);
    snn_scattered(first, &synapse, (const unsigned char *)sums, 0);
    CHECK_ROW(first, 5 + 9, 7);
    snn_scatter(&synapse, (unsigned char *)sums, image, 1);
    snn_scattered(second, &synapse, (const unsigned char *)sums, 1);
    CHECK_ROW(second, 3, 1 + 5 + 9);
}

int main(void)
{
    test_lanes();
    test_wide();
    test_scatter();
    test_scatter_with_stride();
    test_conv_with_padding();
    test_conv_with_groups();
    test_conv_of_bits_in_groups();
    test_depthwise();
    test_linear();
    test_scale();
    test_scale_of_bits();
    test_pools();
    test_select();
    return 0;
}
