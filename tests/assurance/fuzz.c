/* Calls the public functions of emitted networks as libFuzzer says: with any image, with values that
 * no byte stands for, without memory, with too little of it, and with pointers that are not aligned.
 *
 * All forms of a network must answer alike, down to the hash of every neuron at every timestep; a call
 * that is refused must say why. Buffers are as large as they must be and no larger, so that
 * AddressSanitizer sees every byte beyond. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_forms.h"

enum { WITHOUT_ARENA = 1, WITHOUT_INPUT = 2, SHORT = 4, ODD_ARENA = 8, ODD_VALUES = 16,
       ODD_MEMBRANES = 32, WITHOUT_MEMBRANES = 64 };
enum { IMAGE, KNOWN_VALUES, ANY_VALUES, SELFTEST, CALLS };

typedef struct {
    const uint8_t *bytes;
    size_t count;
} entropy;

typedef struct {
    int result;
    uint32_t hash;
    int32_t *membranes;
} answer;

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint8_t take(entropy *from)
{
    if (from->count == 0) {
        return 0;
    }
    --from->count;
    return *from->bytes++;
}

/* As many bytes, `odd` of them before what is returned; nothing but that can be read or written. */
static unsigned char *block(size_t bytes, size_t odd, unsigned char fill)
{
    unsigned char *made = malloc(bytes + odd);
    EXPECT(made != NULL);
    memset(made, fill, bytes + odd);
    return made + odd;
}

static void expect_class(const form *of, const answer *got)
{
    EXPECT(got->result >= 0 && got->result < of->outputs);
    for (int k = 0; got->membranes != NULL && k < of->outputs; ++k) {
        const int32_t most = got->membranes[got->result];
        EXPECT(k < got->result ? got->membranes[k] < most : got->membranes[k] <= most);
    }
}

static void expect_same(const form *of, const answer *a, const answer *b)
{
    EXPECT(a->result == b->result);
    EXPECT(memcmp(a->membranes, b->membranes, (size_t)of->outputs * sizeof *a->membranes) == 0);
}

/* Runs `image`, with a trace where asked for, in an arena that was full of something. */
static answer classify(const form *of, const uint8_t *image, unsigned char fill, int traced)
{
    answer got = {0, 0, (int32_t *)(void *)block((size_t)of->outputs * sizeof(int32_t), 0, fill)};
    unsigned char *arena = block(of->arena_bytes, 0, fill);
    got.result = traced ? of->run_traced(arena, of->arena_bytes, image, got.membranes, snn_hash_step,
                                         &got.hash)
                        : of->run(arena, of->arena_bytes, image, got.membranes);
    free(arena);
    expect_class(of, &got);
    return got;
}

static void any_image(const form *of, const uint8_t *image)
{
    const form *first = of - of->number;
    const answer want = classify(first, image, 0, 1), traced = classify(of, image, 0xFF, 1);
    const answer plain = classify(of, image, 0x5A, 0);
    EXPECT(want.hash == traced.hash);
    expect_same(of, &want, &traced);
    expect_same(of, &want, &plain);
    free(want.membranes);
    free(traced.membranes);
    free(plain.membranes);
}

static int32_t known_value(const snn_array *table, size_t index)
{
    if (table->data == NULL) { /* a byte stands for itself */
        return (int32_t)(index % 256);
    }
    switch (table->type) {
    case SNN_U8: return ((const uint8_t *)table->data)[index];
    case SNN_I8: return ((const int8_t *)table->data)[index];
    default: return ((const int16_t *)table->data)[index];
    }
}

static size_t channel_of(const snn_model *model, size_t i)
{
    const size_t positions = (size_t)model->input->height * model->input->width;
    return model->image_is_chw ? i / positions : i % model->input->channels;
}

/* Values that bytes stand for are as good as the bytes; others are refused. */
static void values(const form *of, const uint8_t *image, entropy *from, int known)
{
    const snn_model *model = of->model;
    int16_t *given = (int16_t *)(void *)block(of->input_bytes * sizeof *given, 0, 0);
    answer got = {0, 0, (int32_t *)(void *)block((size_t)of->outputs * sizeof(int32_t), 0, 1)};
    unsigned char *arena = block(of->arena_bytes, 0, 0xA5);
    int inside = 1;
    for (size_t i = 0; i < of->input_bytes; ++i) {
        const size_t c = model->channels_differ ? channel_of(model, i) : 0;
        given[i] = (int16_t)known_value(&model->table, c * 256 + image[i]);
        if (!known && take(from) > 128) { /* mostly inside of the range, and often at its ends */
            const int16_t lowest = model->lowest[c], highest = model->highest[c];
            const uint8_t how = take(from);
            given[i] = how > 250   ? (int16_t)(take(from) << 8 | how)
                       : how > 140 ? highest
                       : how > 30  ? lowest
                                   : (int16_t)(lowest + how * (highest - lowest) / 30);
            inside &= given[i] >= lowest && given[i] <= highest;
        }
    }
    got.result = of->run_quantised(arena, of->arena_bytes, given, got.membranes);
    if (!inside) {
        EXPECT(got.result == SNN_VALUE_OUT_OF_RANGE);
    } else {
        expect_class(of, &got);
    }
    if (known) {
        const answer want = classify(of, image, 0, 0);
        expect_same(of, &want, &got);
        free(want.membranes);
    }
    free(arena);
    free(given);
    free(got.membranes);
}

static int expected(unsigned faults, int call, size_t missing)
{
    const int has_input = call != SELFTEST;
    if (faults & WITHOUT_ARENA || (has_input && faults & WITHOUT_INPUT)) {
        return SNN_NULL_POINTER;
    }
    if (missing != 0) {
        return SNN_ARENA_TOO_SMALL;
    }
    if (faults & ODD_ARENA || (call == ANY_VALUES && faults & ODD_VALUES)
        || (has_input && faults & ODD_MEMBRANES && !(faults & WITHOUT_MEMBRANES))) {
        return SNN_MISALIGNED;
    }
    return 0;
}

/* Faults of the caller; what is not faulty is as it should be, and is not written. */
static void faulty(const form *of, const uint8_t *image, entropy *from, unsigned faults, int call)
{
    const size_t odd_arena = faults & ODD_ARENA ? 1u + take(from) % 3u : 0;
    const size_t odd_values = faults & ODD_VALUES ? 1 : 0;
    const size_t odd_membranes = faults & ODD_MEMBRANES ? 1u + take(from) % 3u : 0;
    const size_t missing = faults & SHORT ? 1 + (take(from) | take(from) << 8) % of->arena_bytes : 0;
    const size_t given = of->arena_bytes - missing, result_bytes = (size_t)of->outputs * 4;
    unsigned char *arena = block(given, odd_arena, 0x3C);
    unsigned char *input = block(of->input_bytes * 2, odd_values, 0);
    unsigned char *membranes = block(result_bytes, odd_membranes, 0x77);
    void *to = faults & WITHOUT_ARENA ? NULL : arena;
    void *results = faults & WITHOUT_MEMBRANES ? NULL : membranes;
    const void *what = faults & WITHOUT_INPUT ? NULL : input;
    const int error = expected(faults, call, missing);
    int got;

    memcpy(input, image, of->input_bytes);
    switch (call) {
    case ANY_VALUES: got = of->run_quantised(to, given, what, results); break;
    case SELFTEST: got = of->selftest(to, given); break;
    case KNOWN_VALUES: got = of->run_traced(to, given, what, results, NULL, NULL); break;
    default: got = of->run(to, given, what, results); break;
    }
    if (error != 0) {
        EXPECT(got == error);
        for (size_t i = 0; i < given; ++i) {
            EXPECT(arena[i] == 0x3C);
        }
        for (size_t i = 0; i < result_bytes; ++i) {
            EXPECT(membranes[i] == 0x77);
        }
    } else {
        EXPECT(got >= 0 || (call == ANY_VALUES && got == SNN_VALUE_OUT_OF_RANGE));
    }
    free(arena - odd_arena);
    free(input - odd_values);
    free(membranes - odd_membranes);
}

/* What a stream has come to: the class, the output membranes in `to`. */
static int result_of(const stream *of, const void *arena, int32_t *to)
{
    const int class = of->result(arena, of->arena_bytes, to);
    EXPECT(class >= 0 && class < of->outputs);
    return class;
}

static void expect_refused(const stream *of, unsigned char *arena, const uint8_t *bins)
{
    const size_t bytes = of->arena_bytes;
    EXPECT(of->step(arena, bytes, bins) == SNN_NOT_RESET);
    EXPECT(of->result(arena, bytes, NULL) == SNN_NOT_RESET);
    EXPECT(of->reset(NULL, bytes) == SNN_NULL_POINTER);
    EXPECT(of->reset(arena, bytes - 1) == SNN_ARENA_TOO_SMALL);
    EXPECT(of->reset(arena, bytes) == 0);
    EXPECT(of->step(arena, bytes, NULL) == SNN_NULL_POINTER);
    EXPECT(of->step(arena, bytes - 1, bins) == SNN_ARENA_TOO_SMALL);
    EXPECT(of->result(NULL, bytes, NULL) == SNN_NULL_POINTER);
}

/* Steps and resets in any order, beside the first form of the same network. */
static void any_stream(const stream *of, entropy *from)
{
    const stream *first = of - of->number;
    const size_t result_bytes = (size_t)of->outputs * sizeof(int32_t);
    unsigned char *arena = block(of->arena_bytes, 0, 0xEE), *other = block(first->arena_bytes, 0, 0);
    uint8_t *bins = block(of->input_bytes, 0, 0);
    int32_t *got = (int32_t *)(void *)block(result_bytes, 0, 1);
    int32_t *want = (int32_t *)(void *)block(result_bytes, 0, 2);

    expect_refused(of, arena, bins);
    EXPECT(first->reset(other, first->arena_bytes) == 0);
    while (from->count > 0) {
        const uint8_t how = take(from);
        uint32_t hash = 0, wanted = 0;
        if (how == 0) {
            EXPECT(of->reset(arena, of->arena_bytes) == 0);
            EXPECT(first->reset(other, first->arena_bytes) == 0);
        }
        memset(bins, how > 200 ? how : 0, of->input_bytes);
        for (int k = how % 16; k > 0; --k) {
            bins[(size_t)take(from) * 7 % of->input_bytes] = take(from);
        }
        EXPECT(of->step_traced(arena, of->arena_bytes, bins, snn_hash_step, &hash) == 0);
        EXPECT(first->step_traced(other, first->arena_bytes, bins, snn_hash_step, &wanted) == 0);
        EXPECT(hash == wanted);
        EXPECT(result_of(of, arena, got) == result_of(first, other, want));
        EXPECT(memcmp(got, want, result_bytes) == 0);
    }
    EXPECT(of->selftest(arena, of->arena_bytes) == 0);
    free(arena);
    free(other);
    free(bins);
    free(got);
    free(want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    entropy from = {data, size};
    const unsigned which = take(&from) % (FORMS + STREAMS);
    const int call = take(&from) % CALLS;
    const unsigned faults = take(&from) & 127u;
    if (which >= FORMS) {
        any_stream(&streams[which - FORMS], &from);
        return 0;
    }
    const form *of = &forms[which];
    uint8_t *image = block(of->input_bytes, 0, 0);
    for (size_t i = 0; i < of->input_bytes; ++i) {
        image[i] = take(&from);
    }
    if (faults != 0) {
        faulty(of, image, &from, faults, call);
    } else if (call == IMAGE) {
        any_image(of, image);
    } else if (call == SELFTEST) {
        unsigned char *arena = block(of->arena_bytes, 0, 0xEE);
        EXPECT(of->selftest(arena, of->arena_bytes) == 0);
        free(arena);
    } else {
        values(of, image, &from, call == KNOWN_VALUES);
    }
    free(image);
    return 0;
}
