/* snn_vector.h - several numbers of 32 bits at once: with the vectors of x86 processors, else one by
 * one. All compute the same. */
#ifndef SNN_VECTOR_H
#define SNN_VECTOR_H

#include <string.h>

#include "snn_row.h"

#if defined(__GNUC__) && !defined(SNN_WITHOUT_VECTORS)
#if defined(__AVX2__)
#define SNN_VECTORS 256 /* bits */
#elif defined(__SSE2__)
#define SNN_VECTORS 128
#endif
#endif

#ifdef SNN_VECTORS
#include <immintrin.h>
#else
#define SNN_VECTORS 0
#endif

#if SNN_VECTORS == 256

#define SNN_LANES 8

typedef __m256i snn_vector;

static inline snn_vector snn_vector_of(int32_t number)
{
    return _mm256_set1_epi32(number);
}

static inline snn_vector snn_load(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

static inline void snn_store(int32_t *to, snn_vector numbers)
{
    _mm256_storeu_si256((__m256i *)(void *)to, numbers);
}

static inline snn_vector snn_sum(snn_vector a, snn_vector b)
{
    return _mm256_add_epi32(a, b);
}

/* In every lane the product of the low halves + that of the high ones, as signed numbers. */
static inline snn_vector snn_pair_products(snn_vector a, snn_vector b)
{
    return _mm256_madd_epi16(a, b);
}

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define SNN_ADDS_PRODUCTS
static inline snn_vector snn_add_pair_products(snn_vector sums, snn_vector a, snn_vector b)
{
    return _mm256_dpwssd_epi32(sums, a, b);
}
#endif

/* counts - 1 where a > b */
static inline snn_vector snn_less_one_where_above(snn_vector counts, snn_vector a, snn_vector b)
{
    return _mm256_add_epi32(counts, _mm256_cmpgt_epi32(a, b));
}

/* Whether a > b in all lanes. */
static inline bool snn_all_above(snn_vector a, snn_vector b)
{
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(a, b)) == -1;
}

/* Numbers of a byte. */
static inline void snn_put_bytes(uint8_t *to, snn_vector numbers)
{
    const __m128i low = _mm256_castsi256_si128(numbers);
    const __m128i words = _mm_packs_epi32(low, _mm256_extracti128_si256(numbers, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(words, words));
}

/* Sixteen bytes, as numbers of 16 bits. */
static inline void snn_widen_16(int16_t *to, const uint8_t *from)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepu8_epi16(bytes));
}

#elif SNN_VECTORS == 128

#define SNN_LANES 4

typedef __m128i snn_vector;

static inline snn_vector snn_vector_of(int32_t number)
{
    return _mm_set1_epi32(number);
}

static inline snn_vector snn_load(const int32_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

static inline void snn_store(int32_t *to, snn_vector numbers)
{
    _mm_storeu_si128((__m128i *)(void *)to, numbers);
}

static inline snn_vector snn_sum(snn_vector a, snn_vector b)
{
    return _mm_add_epi32(a, b);
}

static inline snn_vector snn_pair_products(snn_vector a, snn_vector b)
{
    return _mm_madd_epi16(a, b);
}

static inline snn_vector snn_less_one_where_above(snn_vector counts, snn_vector a, snn_vector b)
{
    return _mm_add_epi32(counts, _mm_cmpgt_epi32(a, b));
}

static inline bool snn_all_above(snn_vector a, snn_vector b)
{
    return _mm_movemask_epi8(_mm_cmpgt_epi32(a, b)) == 0xFFFF;
}

static inline void snn_put_bytes(uint8_t *to, snn_vector numbers)
{
    const __m128i words = _mm_packs_epi32(numbers, numbers);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    (void)memcpy(to, &bytes, sizeof bytes);
}

static inline void snn_widen_16(int16_t *to, const uint8_t *from)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    const __m128i zeros = _mm_setzero_si128();
    _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi8(bytes, zeros));
    _mm_storeu_si128((__m128i *)(void *)(to + 8), _mm_unpackhi_epi8(bytes, zeros));
}

#else

#define SNN_LANES 4

typedef struct {
    int32_t lane[SNN_LANES];
} snn_vector;

static inline snn_vector snn_vector_of(int32_t number)
{
    const snn_vector all = {{number, number, number, number}};
    return all;
}

static inline snn_vector snn_load(const int32_t *from)
{
    const snn_vector numbers = {{from[0], from[1], from[2], from[3]}};
    return numbers;
}

static inline void snn_store(int32_t *to, snn_vector numbers)
{
    for (unsigned k = 0; k < SNN_LANES; ++k) {
        to[k] = numbers.lane[k];
    }
}

static inline snn_vector snn_sum(snn_vector a, snn_vector b)
{
    for (unsigned k = 0; k < SNN_LANES; ++k) {
        a.lane[k] += b.lane[k];
    }
    return a;
}

static inline snn_vector snn_pair_products(snn_vector a, snn_vector b)
{
    for (unsigned k = 0; k < SNN_LANES; ++k) {
        const int32_t low = (int16_t)((uint32_t)a.lane[k] & 0xFFFFu)
                            * (int32_t)(int16_t)((uint32_t)b.lane[k] & 0xFFFFu);
        const int32_t high =
            (int16_t)((uint32_t)a.lane[k] >> 16) * (int32_t)(int16_t)((uint32_t)b.lane[k] >> 16);
        a.lane[k] = low + high;
    }
    return a;
}

static inline snn_vector snn_less_one_where_above(snn_vector counts, snn_vector a, snn_vector b)
{
    for (unsigned k = 0; k < SNN_LANES; ++k) {
        counts.lane[k] -= a.lane[k] > b.lane[k];
    }
    return counts;
}

static inline bool snn_all_above(snn_vector a, snn_vector b)
{
    bool all = true;
    for (unsigned k = 0; k < SNN_LANES; ++k) {
        all = all && a.lane[k] > b.lane[k];
    }
    return all;
}

static inline void snn_put_bytes(uint8_t *to, snn_vector numbers)
{
    for (unsigned k = 0; k < SNN_LANES; ++k) {
        to[k] = (uint8_t)numbers.lane[k];
    }
}

static inline void snn_widen_16(int16_t *to, const uint8_t *from)
{
    for (unsigned k = 0; k < 16; ++k) {
        to[k] = from[k];
    }
}

#endif

#ifndef SNN_ADDS_PRODUCTS
/* sums + snn_pair_products(a, b), where many such sums are made at a time: the instruction that some
 * processors have for it takes long. */
static inline snn_vector snn_add_pair_products(snn_vector sums, snn_vector a, snn_vector b)
{
    return snn_sum(sums, snn_pair_products(a, b));
}
#endif

/* Constant parameters. */
static inline snn_vector snn_load_parameters(const SNN_FLASH int32_t *from)
{
#if SNN_FLASH_IS_APART
    const snn_vector numbers = {{from[0], from[1], from[2], from[3]}};
    return numbers;
#else
    return snn_load(from);
#endif
}

/* The two numbers of 16 bits at `from`, in every lane. */
static inline snn_vector snn_same_pair(const int16_t *from)
{
    return snn_vector_of((int32_t)((uint32_t)(uint16_t)from[0] | (uint32_t)(uint16_t)from[1] << 16));
}

#endif
