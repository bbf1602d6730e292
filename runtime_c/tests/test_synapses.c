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

/* Eight channels, of a window with padding on each side, over one row of two columns. */
static void test_depthwise_by_eights(void)
{
    static const unsigned char counts[] = {1, 2, 3, 4, 5, 6, 7, 255, 9, 10, 11, 12, 13, 14, 15, 16};
    static const signed char spikes_back[] = {-1, 2, 0, 0, 0, 0, 0, -128, 1, 0, 0, 0, 0, 0, 0, 1};
    static const int8_t weights[] = {
        1, 1, 1, 1, 1, 1, 1, 1, /* next row */ 1, 0, 2, -1, 1, 1, 1, -128, /* next tap */
        1, 1, 1, 1, 1, 1, 1, 1, /* the last but one */ 10, 1, 0, 1, 0, 0, 0, 1};
    /* [ky][kx]: the first row and column lie on padding where y = 0, x = 0 */
    int8_t ordered[2 * 2 * 8];
    for (size_t i = 0; i < 8; ++i) {
        ordered[i] = weights[i], ordered[8 + i] = weights[16 + i];
        ordered[16 + i] = weights[8 + i], ordered[24 + i] = weights[24 + i];
    }
    const snn_conv_op op = {
        .weights = {ordered, SNN_I8}, .window = {2, 2, 1, 1, 1, 1, 1, 1}, .groups = 8};
    snn_values source = {.channels = 8, .height = 1, .width = 2, .planes = 1, .type = SNN_U8,
                         .row_bytes = 8, .plane_bytes = 16};
    const snn_synapse synapse = {
        .add = snn_depthwise, .op = &op, .source = &source, .channels = 8, .width = 3};
    int32_t line[24] = {100};
    snn_depthwise(line, &synapse, counts, 0);
    CHECK_ROW(line, 110, 2, 0, 4, 0, 0, 0, 255, /* both */ 91, 10, 6, 8, 5, 6, 7, -32624,
              /* the left one */ 9, 0, 22, -12, 13, 14, 15, -2048);
    source.type = SNN_I8;
    for (size_t i = 0; i < 24; ++i) {
        line[i] = 0;
    }
    snn_depthwise(line, &synapse, (const unsigned char *)spikes_back, 0);
    CHECK_ROW(line, -10, 2, 0, 0, 0, 0, 0, -128, 9, 0, 0, 0, 0, 0, 0, 16385,
              1, 0, 0, 0, 0, 0, 0, -128);
    for (size_t i = 0; i < 24; ++i) {
        line[i] = 0;
    }
    snn_depthwise(line, &synapse, (const unsigned char *)spikes_back, 2); /* nothing but padding */
    CHECK_ROW(line, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
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

/* More inputs than are listed at a time, and outputs that eights and fours make up. */
static void test_linear_by_eights(void)
{
    enum { INPUTS = 70, OUTPUTS = 12 };
    unsigned char counts[INPUTS];
    int8_t weights[INPUTS][OUTPUTS];
    int32_t line[OUTPUTS] = {0}, expected[OUTPUTS] = {0};
    const snn_values source = {.channels = 7, .height = 2, .width = 5, .planes = 1,
                               .type = SNN_U8, .row_bytes = 7, .plane_bytes = INPUTS};
    const snn_linear_op op = {.weights = {weights, SNN_I8}};
    const snn_synapse synapse = {
        .add = snn_linear, .op = &op, .source = &source, .channels = OUTPUTS, .width = 1};
    for (int i = 0; i < INPUTS; ++i) {
        counts[i] = (unsigned char)(i % 5 == 3 ? 0 : 255 - 3 * i);
        for (int o = 0; o < OUTPUTS; ++o) {
            weights[i][o] = (int8_t)((i * 37 + o * 11) % 256 - 128);
            expected[o] += counts[i] * (int32_t)weights[i][o];
        }
    }
    snn_linear(line, &synapse, counts, 0);
    check_row("twelve outputs", line, expected, OUTPUTS);
}

/* Events whose weights lie further apart than sixteen bits count. */
static void test_linear_of_many_outputs(void)
{
    enum { INPUTS = 40, OUTPUTS = 4096 };
    static int8_t weights[INPUTS][OUTPUTS];
    static int32_t line[OUTPUTS];
    unsigned char counts[INPUTS] = {3};
    const snn_values source = {.channels = INPUTS, .height = 1, .width = 1, .planes = 1,
                               .type = SNN_U8, .row_bytes = INPUTS, .plane_bytes = INPUTS};
    const snn_linear_op op = {.weights = {weights, SNN_I8}};
    const snn_synapse synapse = {
        .add = snn_linear, .op = &op, .source = &source, .channels = OUTPUTS, .width = 1};
    counts[INPUTS - 1] = 200;
    weights[0][0] = -128;
    weights[INPUTS - 1][0] = 1, weights[INPUTS - 1][OUTPUTS - 1] = 127;
    snn_linear(line, &synapse, counts, 0);
    CHECK_ROW(line, 200 - 384, 0);
    CHECK_ROW(line + OUTPUTS - 1, 200 * 127);
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

/* Weights of a byte each: 11 outputs are eight, and three of four. */
static void test_pairs(void)
{
    static const SNN_FLASH snn_pair sums[] = {
        SNN_SUM(1, -1), SNN_SUM(2, -2), SNN_SUM(3, -3), SNN_SUM(0, 127), SNN_SUM(-127, 5),
        SNN_SUM(-6, 0), /* channel 1 */
        SNN_SUM(10, 20), SNN_SUM(-30, -40), SNN_SUM(0, 0), SNN_SUM(-1, -1), SNN_SUM(7, 8),
        SNN_SUM(9, 0),
    };
    static const SNN_FLASH snn_pair halves[] = {
        SNN_HALVES(1, -1), SNN_HALVES(-2, 2), SNN_HALVES(127, -127), SNN_HALVES(0, 0),
        /* channel 1 */
        SNN_HALVES(-1, 1), SNN_HALVES(0, 0), SNN_HALVES(127, 3), SNN_HALVES(0, 0),
    };
    snn_lanes_op op = {.weights = sums, .window = WHOLE, .words = 6, .rows_at_once = 1,
                       .has_pairs = true};
    snn_synapse synapse = {.add = snn_lanes, .op = &op, .source = &as_bytes, .channels = 11,
                           .width = 3, .prepare = snn_list_counts};
    int32_t line[33] = {0}, wide[18] = {1000};
    prepare_and_add(line, &synapse);
    CHECK_ROW(line, 3, -3, 6, -6, 9, -9, 0, 381, -381, 15, -18, /* */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
              /* */ 20, 40, -60, -80, 0, 0, -2, -2, 14, 16, 18);
    op.weights = halves;
    op.words = 4;
    synapse.add = snn_wide;
    synapse.channels = 6;
    prepare_and_add(wide, &synapse);
    CHECK_ROW(wide, 1003, -3, -6, 6, 381, -381, /* */ 0, 0, 0, 0, 0, 0, /* */ -2, 2, 0, 0, 254, 6);
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

#define ROWS 5 /* of a source of seven columns */
#define COLUMNS 7
#define MOST 24 /* outputs */
#define INPUTS 3

static int32_t next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (int32_t)(*state >> 24) - 128;
}

/* Words of snn_dense for three rows and columns, from weights in the order of snn_conv. */
static void in_blocks(int32_t *to, const int8_t *weights, uint16_t inputs, uint16_t outputs)
{
    for (uint16_t first = 0; first < outputs; first = (uint16_t)(first + 16)) {
        const uint16_t lanes = outputs - first > 8 ? 16 : 8, row = (uint16_t)(3 * inputs);
        for (uint16_t ky = 0; ky < 3; ++ky) {
            for (uint16_t i = 0; i < row; i = (uint16_t)(i + 2)) {
                for (uint16_t o = first; o < first + lanes; ++o) {
                    const size_t low = (size_t)(ky * row + i) * outputs + o;
                    const int32_t second = i + 1 < row && o < outputs ? weights[low + outputs] : 0;
                    *to++ = (int32_t)(((uint32_t)second << 16)
                                         | (uint16_t)(o < outputs ? weights[low] : 0));
                }
            }
        }
    }
}

/* Inputs of any sign or not, with padding all round, against snn_conv. */
static void check_dense(uint16_t inputs, uint16_t outputs, uint16_t stride, uint8_t type)
{
    static int8_t weights[9 * INPUTS * MOST];
    static int32_t packed[3 * 5 * 32], prepared[3 * ((COLUMNS + 2) * INPUTS + 2) / 2];
    static unsigned char plane[ROWS * COLUMNS * INPUTS];
    const snn_values source = {.channels = inputs, .height = ROWS, .width = COLUMNS, .planes = 1,
                               .type = type, .row_bytes = inputs, .plane_bytes = sizeof plane};
    const snn_window window = {3, 3, stride, stride, 1, 1, 1, 1};
    const uint16_t width = (uint16_t)((COLUMNS - 1) / stride + 1);
    const snn_conv_op op = {.weights = {weights, SNN_I8}, .window = window, .groups = 1};
    const snn_dense_op dense_op = {.weights = packed, .window = window};
    const snn_synapse conv = {
        .op = &op, .source = &source, .channels = outputs, .width = width};
    const snn_synapse dense = {
        .op = &dense_op, .source = &source, .channels = outputs, .width = width};
    uint32_t state = (uint32_t)(inputs * outputs);

    for (size_t i = 0; i < sizeof weights; ++i) {
        weights[i] = (int8_t)next_number(&state);
    }
    for (size_t i = 0; i < sizeof plane; ++i) {
        plane[i] = (unsigned char)next_number(&state);
    }
    in_blocks(packed, weights, inputs, outputs);
    for (uint16_t y = 0; y < (ROWS - 1) / stride + 1; ++y) {
        int32_t expected[COLUMNS * MOST] = {1, 2, 3}, got[COLUMNS * MOST] = {1, 2, 3};
        snn_conv(expected, &conv, plane, y);
        snn_widen(&dense, (unsigned char *)prepared, plane, y);
        snn_dense(got, &dense, (const unsigned char *)prepared, y);
        check_row("dense", got, expected, COLUMNS * MOST);
    }
}

static void test_dense(void)
{
    static const uint16_t outputs[] = {1, 5, 8, 13, 16, 24};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; ++i) {
        check_dense(1, outputs[i], 1, SNN_U8);
        check_dense(2, outputs[i], 1, SNN_I8);
        check_dense(INPUTS, outputs[i], 1, SNN_U8);
        check_dense(INPUTS, outputs[i], 2, SNN_I8);
    }
}

int main(void)
{
    test_dense();
    test_lanes();
    test_wide();
    test_pairs();
    test_scatter();
    test_scatter_with_stride();
    test_conv_with_padding();
    test_conv_with_groups();
    test_conv_of_bits_in_groups();
    test_depthwise();
    test_depthwise_by_eights();
    test_linear();
    test_linear_by_eights();
    test_linear_of_many_outputs();
    test_scale();
    test_scale_of_bits();
    test_pools();
    test_select();
    return 0;
}
