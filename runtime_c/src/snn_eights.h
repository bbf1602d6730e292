/* snn_eights.h - eight sums in registers: as vectors where these have a 32-bit multiplication, else
 * one by one. Both compute the same. */
#ifndef SNN_EIGHTS_H
#define SNN_EIGHTS_H

#include <string.h>

#include "snn_model.h"
#include "snn_pairs.h"

#if defined(__GNUC__) && (defined(__AVX2__) || defined(__ARM_NEON))

typedef uint32_t snn_words_of_8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t snn_pairs_of_4 __attribute__((vector_size(16), aligned(4)));

/* Eight sums of words. */
typedef snn_words_of_8 snn_words;

static inline snn_words snn_no_words(void)
{
    return (snn_words){0};
}

/* sums + count * the eight words at `weights` */
static inline snn_words snn_add_words(snn_words sums, uint32_t count, const int32_t *weights)
{
    return sums + count * *(const snn_words_of_8 *)(const void *)weights;
}

static inline void snn_put_words(uint32_t *to, snn_words sums)
{
    (void)memcpy(to, &sums, sizeof sums);
}

/* Adds the sums of 16 bits that they hold to sixteen numbers. */
static inline void snn_add_words_to(int32_t *to, snn_words sums)
{
    for (unsigned k = 0; k < 8; ++k) {
        to[2 * k] += snn_low(sums[k]);
        to[2 * k + 1] += snn_high(sums[k]);
    }
}

/* Eight sums of 32 bits, for the halves of four pairs. */
typedef struct {
    snn_pairs_of_4 low, high;
} snn_halves;

static inline snn_halves snn_no_halves(void)
{
    return (snn_halves){{0}, {0}};
}

/* sums + count * the halves of the four pairs at `weights` */
static inline snn_halves snn_add_halves(snn_halves sums, int32_t count, const int32_t *weights)
{
    const snn_pairs_of_4 pairs = *(const snn_pairs_of_4 *)(const void *)weights;
    const snn_pairs_of_4 low = (pairs << 16) >> 16;
    sums.low += count * low;
    sums.high += count * (pairs >> 16);
    return sums;
}

/* Adds the sums to eight numbers. */
static inline void snn_add_halves_to(int32_t *to, snn_halves sums)
{
    for (unsigned k = 0; k < 4; ++k) {
        to[2 * k] += sums.low[k];
        to[2 * k + 1] += sums.high[k];
    }
}

#else

typedef struct {
    uint32_t a0, a1, a2, a3, a4, a5, a6, a7;
} snn_words;

static inline snn_words snn_no_words(void)
{
    const snn_words none = {0, 0, 0, 0, 0, 0, 0, 0};
    return none;
}

static inline snn_words snn_add_words(snn_words sums, uint32_t count,
                                      const SNN_FLASH int32_t *weights)
{
    sums.a0 += count * (uint32_t)weights[0];
    sums.a1 += count * (uint32_t)weights[1];
    sums.a2 += count * (uint32_t)weights[2];
    sums.a3 += count * (uint32_t)weights[3];
    sums.a4 += count * (uint32_t)weights[4];
    sums.a5 += count * (uint32_t)weights[5];
    sums.a6 += count * (uint32_t)weights[6];
    sums.a7 += count * (uint32_t)weights[7];
    return sums;
}

static inline void snn_put_words(uint32_t *to, snn_words sums)
{
    to[0] = sums.a0, to[1] = sums.a1, to[2] = sums.a2, to[3] = sums.a3;
    to[4] = sums.a4, to[5] = sums.a5, to[6] = sums.a6, to[7] = sums.a7;
}

static inline void snn_add_word_to(int32_t *to, uint32_t sum)
{
    to[0] += snn_low(sum);
    to[1] += snn_high(sum);
}

static inline void snn_add_words_to(int32_t *to, snn_words sums)
{
    snn_add_word_to(to, sums.a0);
    snn_add_word_to(to + 2, sums.a1);
    snn_add_word_to(to + 4, sums.a2);
    snn_add_word_to(to + 6, sums.a3);
    snn_add_word_to(to + 8, sums.a4);
    snn_add_word_to(to + 10, sums.a5);
    snn_add_word_to(to + 12, sums.a6);
    snn_add_word_to(to + 14, sums.a7);
}

typedef struct {
    int32_t a0, a1, a2, a3, a4, a5, a6, a7;
} snn_halves;

static inline snn_halves snn_no_halves(void)
{
    const snn_halves none = {0, 0, 0, 0, 0, 0, 0, 0};
    return none;
}

static inline snn_halves snn_add_halves(snn_halves sums, int32_t count,
                                        const SNN_FLASH int32_t *weights)
{
    sums.a0 = snn_add_low(sums.a0, weights[0], count);
    sums.a1 = snn_add_high(sums.a1, weights[0], count);
    sums.a2 = snn_add_low(sums.a2, weights[1], count);
    sums.a3 = snn_add_high(sums.a3, weights[1], count);
    sums.a4 = snn_add_low(sums.a4, weights[2], count);
    sums.a5 = snn_add_high(sums.a5, weights[2], count);
    sums.a6 = snn_add_low(sums.a6, weights[3], count);
    sums.a7 = snn_add_high(sums.a7, weights[3], count);
    return sums;
}

static inline void snn_add_halves_to(int32_t *to, snn_halves sums)
{
    to[0] += sums.a0, to[1] += sums.a1, to[2] += sums.a2, to[3] += sums.a3;
    to[4] += sums.a4, to[5] += sums.a5, to[6] += sums.a6, to[7] += sums.a7;
}

#endif

#endif
