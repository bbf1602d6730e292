/* Neurons step by step, one channel for each case. */
#include "check.h"

static const int32_t thresholds[] = {10, 10, 10, 10};
static const int32_t floors[] = {-5, -100, -5, -100};

/* One timestep, what is sent in place of the current. */
static void fire(snn_neuron_fn *neurons, const void *op, uint16_t channels, uint16_t width,
                 int32_t *current, int32_t *membrane, int32_t *balance)
{
    const snn_values output = {.channels = channels, .height = 1, .width = width, .planes = 1,
                               .type = SNN_I16, .row_bytes = (size_t)channels * 2};
    int16_t sent[16];
    neurons(op, &output, (unsigned char *)sent, current, membrane, balance);
    for (size_t i = 0; i < (size_t)channels * width; ++i) {
        current[i] = sent[i];
    }
}

/* Ten channels at two positions, whose spikes are packed. */
static void test_packed_spikes(void)
{
    static const int32_t theta[] = {1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
    const snn_if_op op = {.threshold = theta, .max_spikes = 1};
    const snn_values output = {.channels = 10, .height = 1, .width = 2, .planes = 1,
                               .type = SNN_BITS, .row_bytes = 2};
    int32_t current[] = {1, 0, 2, 1, 3, 2, 4, 3, 5, 4, /* */ 0, 9, 0, 9, 0, 9, 0, 9, 0, 9};
    int32_t v[20] = {0};
    uint8_t sent[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    snn_if(&op, &output, sent, current, v, NULL);
    const int32_t packed[] = {sent[0], sent[1], sent[2], sent[3]};
    CHECK_ROW(packed, 0x55, 0x01, 0xAA, 0x02);
    CHECK_ROW(v, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4);
}

static void test_soft_reset(void)
{
    const snn_if_op op = {
        .threshold = thresholds, .v_min = NULL, .max_spikes = 1};
    int32_t v[] = {0, 9, 10, -3};
    int32_t current[] = {10, 0, 15, 12};
    fire(snn_if, &op, 4, 1, current, v, NULL);
    CHECK_ROW(current, 1, 0, 1, 0); /* fires at v >= threshold */
    CHECK_ROW(v, 0, 9, 15, 9);
}

static void test_hard_reset(void)
{
    const snn_if_op op = {.threshold = thresholds,
                          .v_min = NULL,
                          .max_spikes = 1,
                          .reset_to_zero = true};
    int32_t v[] = {0, 9, 10, -3};
    int32_t current[] = {10, 0, 15, 12};
    fire(snn_if, &op, 4, 1, current, v, NULL);
    CHECK_ROW(current, 1, 0, 1, 0);
    CHECK_ROW(v, 0, 9, 0, 9);
}

static void test_lower_bound(void)
{
    const snn_if_op op = {
        .threshold = thresholds, .v_min = floors, .max_spikes = 1};
    int32_t v[] = {0, 0, -5, 0};
    int32_t current[] = {-30, -30, -1, -101};
    fire(snn_if, &op, 4, 1, current, v, NULL);
    CHECK_ROW(current, 0, 0, 0, 0);
    CHECK_ROW(v, -5, -30, -5, -100);
}

static void test_several_spikes(void)
{
    const snn_if_op op = {
        .threshold = thresholds, .v_min = NULL, .max_spikes = 3};
    int32_t v[] = {0, 0, 0, 0};
    int32_t current[] = {9, 29, 35, 77};
    fire(snn_if, &op, 4, 1, current, v, NULL);
    CHECK_ROW(current, 0, 2, 3, 3);
    CHECK_ROW(v, 9, 9, 5, 47);
}

static void test_taking_back(void)
{
    const snn_if_op op = {.threshold = thresholds,
                          .v_min = NULL,
                          .max_spikes = 1,
                          .takes_back = true};
    int32_t v[] = {0, 0, 0, 0};
    int32_t balance[] = {0, 1, 2, 0};
    int32_t current[] = {-4, -4, -25, 10};
    fire(snn_if, &op, 4, 1, current, v, balance);
    CHECK_ROW(current, 0, -1, -1, 1); /* only what was sent can be taken back */
    CHECK_ROW(v, -4, 6, -15, 0);
    CHECK_ROW(balance, 0, 0, 1, 1);
}

static void test_levels(void)
{
    static const snn_steps none[2] = {{-2, -2, 0, 0}};
    static const int32_t levels[] = {-2, 5, 5, 9, /* next channel */ 0, 1, 2, 3};
    const snn_level_op op = {.steps = none, .thresholds = levels, .levels = 4, .comparisons = 4};
    int32_t low[] = {-3, -1}, equal[] = {5, 2}, high[] = {100, 3};
    fire(snn_level, &op, 2, 1, low, NULL, NULL);
    CHECK_ROW(low, 0, 0);
    fire(snn_level, &op, 2, 1, equal, NULL, NULL);
    CHECK_ROW(equal, 3, 3);
    fire(snn_level, &op, 2, 1, high, NULL, NULL);
    CHECK_ROW(high, 4, 4);

    const snn_level_op with_sign = {
        .steps = none, .thresholds = levels, .levels = 4, .comparisons = 4, .lowest = -2};
    int32_t below[] = {-3, 2};
    fire(snn_level, &with_sign, 2, 1, below, NULL, NULL);
    CHECK_ROW(below, -2, 1);
}

/* Two positions of two channels. */
static void test_lines(void)
{
    const snn_if_op op = {.threshold = (const int32_t[]){10, 20}, .max_spikes = 1};
    int32_t v[] = {1, 2, 3, 4};
    int32_t current[] = {9, 17, 7, 16};
    fire(snn_if, &op, 2, 2, current, v, NULL);
    CHECK_ROW(current, 1, 0, 1, 1);
    CHECK_ROW(v, 0, 19, 0, 0);
}

static void test_accumulation(void)
{
    int32_t v[] = {1, -1};
    int32_t current[] = {5, -5};
    fire(snn_accumulate, NULL, 2, 1, current, v, NULL);
    CHECK_ROW(current, 6, -6);
    CHECK_ROW(v, 6, -6);
}

/* Levels of a product, and, for 8 bits, those to search: thresholds 3, 6, 9 as 1 + ((z * 86 - 3 * 86) >> 8), and one level at -4. */
static void test_levels_of_a_product(void)
{
    static const snn_steps steps[] = {{3, 9, 86, 0u - 3 * 86}, {-4, -4, 0, 0}};
    static const int32_t levels[] = {3, 6, 9, /* next channel */ -4, INT32_MAX, INT32_MAX};
    const snn_level_op op = {.steps = steps, .thresholds = levels,
                             .levels = 3, .shift = 8, .lowest = -1};
    const int32_t sums[] = {-1000000, 2, 3, 5, 6, 8, 9, 1000000};
    const int32_t first[] = {-1, -1, 0, 0, 1, 1, 2, 2}, second[] = {-1, 0, 0, 0, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; ++i) {
        int32_t current[] = {sums[i], sums[i]};
        fire(snn_level, &op, 2, 1, current, NULL, NULL);
        CHECK_ROW(current, first[i], second[i]);
    }
}

/* The same with 24 bits more, so that sums need not be clipped. */
static void test_levels_of_a_wide_product(void)
{
    static const snn_wide_steps steps[] = {{-((int64_t)258 << 24), 86 << 24, 3},
                                           {(int64_t)4 << 30, 1 << 30, -4}};
    static const int32_t levels[] = {3, 6, 9, /* next channel */ -4, 0, 4};
    const snn_level_op op = {.wide_steps = steps, .thresholds = levels, .levels = 3,
                             .lowest = -1};
    const snn_level_op bytes = {.wide_steps = steps, .thresholds = levels,
                                .levels = 3};
    const snn_values output = {.channels = 1, .height = 1, .width = 2, .planes = 1,
                               .type = SNN_U8, .row_bytes = 1};
    const int32_t sums[] = {INT32_MIN, -5, 2, 3, 5, 6, 8, 9, INT32_MAX};
    const int32_t first[] = {-1, -1, -1, 0, 0, 1, 1, 2, 2}, second[] = {-1, -1, 1, 1, 2, 2, 2, 2, 2};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; ++i) {
        int32_t current[] = {sums[i], sums[i]};
        uint8_t sent[2];
        snn_level(&bytes, &output, sent, current, NULL, NULL);
        const int32_t stored[] = {sent[0], sent[1]};
        CHECK_ROW(stored, first[i] + 1, first[i] + 1);
        fire(snn_level, &op, 2, 1, current, NULL, NULL);
        CHECK_ROW(current, first[i], second[i]);
    }
}

/* Ten channels at seven positions, with so many levels: sums on both sides of each threshold. */
static void check_compare(uint16_t levels, uint8_t type, int32_t lowest)
{
    enum { CHANNELS = 10, POSITIONS = 7, COUNT = CHANNELS * POSITIONS, MOST = 40 };
    static int32_t table[MOST * CHANNELS];
    const snn_compare_op op = {.thresholds = table, .levels = levels, .lowest = lowest};
    const snn_values output = {.channels = CHANNELS, .height = 1, .width = POSITIONS, .planes = 1,
                               .type = type, .row_bytes = CHANNELS * (type == SNN_I16 ? 2 : 1)};
    int32_t sums[COUNT], expected[COUNT], sent[COUNT];
    int16_t rows[COUNT];
    for (int32_t i = 0; i < levels * CHANNELS; ++i) {
        table[i] = i / CHANNELS * (i % CHANNELS) * 3 - 20;
    }
    for (int32_t i = 0; i < COUNT; ++i) {
        const int32_t c = i % CHANNELS, k = i * 7 % (levels + 1);
        sums[i] = (k < levels ? table[k * CHANNELS + c] : 10000) - i % 2;
        expected[i] = lowest;
        for (int32_t level = 0; level < levels; ++level) {
            expected[i] += sums[i] >= table[level * CHANNELS + c];
        }
    }
    snn_compare(&op, &output, (unsigned char *)rows, sums, NULL, NULL);
    for (int32_t i = 0; i < COUNT; ++i) {
        sent[i] = type == SNN_I16 ? rows[i] : ((const uint8_t *)rows)[i];
    }
    check_row("levels", sent, expected, COUNT);
}

static void test_compare(void)
{
    static const uint16_t levels[] = {1, 7, 16, 17, 40};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; ++i) {
        check_compare(levels[i], SNN_U8, 0);
        check_compare(levels[i], SNN_I16, -3);
    }
}

/* Below, at and above each of three thresholds of two channels; nothing is left of what was sent. */
static void test_climbing(void)
{
    static const int16_t table[] = {-300, 5, 6, /* */ 1, 1, 20};
    const snn_climb_op op = {.thresholds = {table, SNN_I16}, .levels = 3, .lowest = -1};
    int32_t current[] = {-301, 0, -300, 1, 4, 19, 5, 20, 6, 2147483647, -2147483647, -1};
    fire(snn_climb, &op, 2, 6, current, NULL, NULL);
    CHECK_ROW(current, -1, -1, 0, 1, 0, 1, 1, 2, 2, 2, -1, -1);
}

int main(void)
{
    test_climbing();
    test_compare();
    test_levels_of_a_product();
    test_levels_of_a_wide_product();
    test_soft_reset();
    test_hard_reset();
    test_lower_bound();
    test_several_spikes();
    test_taking_back();
    test_levels();
    test_packed_spikes();
    test_lines();
    test_accumulation();
    return 0;
}
