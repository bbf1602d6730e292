/* Packed weights, against the same weights as bytes. */
#include "check.h"
#include "snn_row.h"

#define INPUTS 6
#define ROWS 4
#define COLUMNS 5
#define TAPS 6
#define MOST 84 /* outputs: more than two chunks */
#define TERNARY 0

static uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Bit by bit; returns how many bytes. */
static size_t pack_bits(uint8_t *to, const int8_t *row, size_t count, unsigned bits)
{
    const size_t bytes = (count * bits + 7) / 8;
    for (size_t i = 0; i < bytes; ++i) {
        to[i] = 0;
    }
    for (size_t i = 0; i < count * bits; ++i) {
        const unsigned bit = ((unsigned)row[i / bits] >> (i % bits)) & 1u;
        to[i / 8] = (uint8_t)(to[i / 8] | bit << (i % 8));
    }
    return bytes;
}

/* Five digits of base 3, the first one the highest, in 256 parts of 3^5, rounded up. */
static size_t pack_ternary(uint8_t *to, const int8_t *row, size_t count)
{
    const size_t bytes = (count + 4) / 5;
    for (size_t i = 0; i < bytes; ++i) {
        unsigned number = 0;
        for (size_t k = 5 * i; k < 5 * i + 5; ++k) {
            number = 3 * number + (unsigned)(k < count ? row[k] + 1 : 1);
        }
        to[i] = (uint8_t)((number * 256 + 242) / 243);
    }
    return bytes;
}

static int8_t drawn(uint32_t *state, unsigned bits)
{
    const uint32_t number = next_number(state);
    return (int8_t)(bits == TERNARY ? (int)(number % 3) - 1
                                    : (int)(number % (1u << bits)) - (1 << (bits - 1)));
}

typedef struct {
    snn_window window;
    uint16_t groups, outputs; /* outputs of all groups */
    uint8_t type;             /* of the source */
    unsigned bits;
} kind;

static void check_packed(const kind *of)
{
    static int8_t weights[TAPS * INPUTS * MOST];
    static uint8_t packed[TAPS * INPUTS * MOST];
    static int16_t values[ROWS * COLUMNS * INPUTS];
    unsigned char *const plane = (unsigned char *)values;
    const bool is_depthwise = of->groups == INPUTS && of->outputs == INPUTS;
    const uint16_t inputs = (uint16_t)(INPUTS / of->groups);
    const uint16_t outputs = (uint16_t)(is_depthwise ? INPUTS : of->outputs / of->groups);
    const size_t row_bytes = of->type == SNN_BITS ? 1 : of->type == SNN_I16 ? 2 * INPUTS : INPUTS;
    const snn_values source = {.channels = INPUTS, .height = ROWS, .width = COLUMNS, .planes = 1,
                               .type = of->type, .row_bytes = row_bytes,
                               .plane_bytes = row_bytes * ROWS * COLUMNS};
    const snn_window *window = &of->window;
    const uint16_t seen_x = (uint16_t)((window->kernel_width - 1) * window->dilation_x + 1);
    const uint16_t seen_y = (uint16_t)((window->kernel_height - 1) * window->dilation_y + 1);
    const uint16_t width =
        (uint16_t)((COLUMNS + 2 * window->pad_left - seen_x) / window->stride_x + 1);
    const uint16_t height =
        (uint16_t)((ROWS + 2 * window->pad_top - seen_y) / window->stride_y + 1);
    const size_t taps = (size_t)window->kernel_height * window->kernel_width;
    const size_t rows = taps * (is_depthwise ? 1 : INPUTS);
    uint32_t state = of->bits * 31u + of->outputs;
    size_t bytes = 0;

    for (size_t i = 0; i < sizeof values; ++i) {
        plane[i] = (unsigned char)(next_number(&state) % 3 ? next_number(&state) : 0);
    }
    for (size_t i = 0; i < sizeof values && of->type == SNN_BITS; ++i) {
        plane[i] &= (1u << INPUTS) - 1; /* what is beyond the last channel is 0 */
    }
    for (size_t i = 0; i < rows * outputs; ++i) {
        weights[i] = drawn(&state, of->bits);
    }
    for (size_t row = 0; row < rows; ++row) {
        const int8_t *at = weights + row * outputs;
        bytes += of->bits == TERNARY ? pack_ternary(packed + bytes, at, outputs)
                                     : pack_bits(packed + bytes, at, outputs, of->bits);
    }
    const snn_conv_op op = {
        .weights = {weights, SNN_I8}, .window = *window, .groups = of->groups};
    const snn_packed_op packed_op = {
        .weights = packed,
        .window = *window,
        .groups = is_depthwise ? 1 : of->groups,
        .inputs = inputs,
        .outputs = outputs,
        .row_bytes = (uint16_t)(bytes / rows),
        .chunk_bytes = (uint8_t)(of->bits == TERNARY ? 8 : 5 * of->bits),
        .bits = (uint8_t)of->bits,
        .is_depthwise = is_depthwise,
    };
    const snn_synapse conv = {
        .op = &op, .source = &source, .channels = of->outputs, .width = width};
    const snn_synapse synapse = {
        .op = &packed_op, .source = &source, .channels = of->outputs, .width = width};
    for (uint16_t y = 0; y < height; ++y) {
        static int32_t expected[2 * COLUMNS * MOST], got[2 * COLUMNS * MOST];
        for (size_t i = 0; i < sizeof got / sizeof *got; ++i) {
            expected[i] = got[i] = (int32_t)i;
        }
        snn_conv(expected, &conv, plane, y);
        (of->bits == TERNARY ? snn_ternary : snn_packed)(got, &synapse, plane, y);
        check_row("packed", got, expected, sizeof got / sizeof *got);
    }
}

static void test_packed(void)
{
    static const snn_window windows[] = {
        {1, 1, 1, 1, 1, 1, 0, 0},
        {3, 2, 1, 1, 1, 1, 1, 1},
        {2, 3, 2, 3, 1, 1, 0, 2},
        {2, 2, 1, 1, 2, 3, 1, 0},
        {1, 3, 1, 1, 1, 2, 0, 3}, /* some taps see nothing */
    };
    static const uint16_t groups[][2] = {{1, 1}, {1, 13}, {1, 40}, {1, MOST}, {3, 9}, {INPUTS, INPUTS}};
    static const uint8_t types[] = {SNN_BITS, SNN_U8, SNN_I8, SNN_I16};
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; ++w) {
        for (size_t g = 0; g < sizeof groups / sizeof groups[0]; ++g) {
            for (size_t t = 0; t < sizeof types / sizeof types[0]; ++t) {
                for (unsigned bits = 0; bits <= 8; bits += bits == TERNARY ? 2 : 1) {
                    const kind of = {windows[w], groups[g][0], groups[g][1], types[t], bits};
                    check_packed(&of);
                }
            }
        }
    }
}

/* By hand: 2 bits of -2, 1, 0, -1 in a byte; five ternary weights in another. */
static void test_of_known_bytes(void)
{
    static const uint8_t bits[] = {2 | 1 << 2 | 0 << 4 | 3 << 6, 1};
    static const uint8_t digits[] = {((2 * 81 + 0 * 27 + 1 * 9 + 0 * 3 + 2) * 256 + 242) / 243};
    static const unsigned char input[] = {100};
    const snn_window whole = {1, 1, 1, 1, 1, 1, 0, 0};
    const snn_values source = {.channels = 1, .height = 1, .width = 1, .planes = 1,
                               .type = SNN_U8, .row_bytes = 1, .plane_bytes = 1};
    snn_packed_op op = {.weights = bits, .window = whole, .groups = 1, .inputs = 1, .outputs = 5,
                        .row_bytes = 2, .chunk_bytes = 10, .bits = 2};
    const snn_synapse synapse = {.op = &op, .source = &source, .channels = 5, .width = 1};
    int32_t line[] = {0, 0, 0, 7, 0}, other[] = {0, 0, 0, 7, 0};
    snn_packed(line, &synapse, input, 0);
    CHECK_ROW(line, -200, 100, 0, -93, 100);
    op.weights = digits, op.row_bytes = 1, op.chunk_bytes = 8, op.bits = 0;
    snn_ternary(other, &synapse, input, 0);
    CHECK_ROW(other, 100, -100, 0, -93, 100);
}

int main(void)
{
    test_of_known_bytes();
    test_packed();
    return 0;
}
