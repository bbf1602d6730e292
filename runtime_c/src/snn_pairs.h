/* snn_pairs.h - two 16-bit numbers in a word, and the instructions that some processors have for them.
 *
 * In a *sum of words* the low number borrows from the high one where it is negative; in a *pair* the
 * halves stand for themselves. */
#ifndef SNN_PAIRS_H
#define SNN_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#include <arm_acle.h>
#endif

/* The numbers that a sum of words holds. */
static inline int32_t snn_low(uint32_t sum)
{
    return (int16_t)(sum & 0xFFFFu);
}

static inline int32_t snn_high(uint32_t sum)
{
    return (int16_t)((sum - (uint32_t)snn_low(sum)) >> 16);
}

/* A weight in a word, of a sum of words or of a pair. */
static inline int32_t snn_half(uint32_t word, bool high, bool is_sum)
{
    const int32_t low = snn_low(word);
    if (!high) {
        return low;
    }
    return is_sum ? snn_high(word) : (int16_t)(word >> 16);
}

/* sum + count * the half of a pair; `count` fits 16 bits. */
static inline int32_t snn_add_low(int32_t sum, int32_t pair, int32_t count)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    return __smlabb(pair, count, sum);
#else
    return sum + count * (int16_t)((uint32_t)pair & 0xFFFFu);
#endif
}

static inline int32_t snn_add_high(int32_t sum, int32_t pair, int32_t count)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    return __smlatb(pair, count, sum);
#else
    return sum + count * (int16_t)((uint32_t)pair >> 16);
#endif
}

#endif
