/* snn_bits.h - what processors can do with bits. */
#ifndef SNN_BITS_H
#define SNN_BITS_H

/* Whether compilers make vectors of plain loops: then two of these beat one that packs bits. */
#if defined(__SSE2__) || defined(__ARM_NEON) || defined(__ALTIVEC__)
#define SNN_HAS_VECTORS 1
#else
#define SNN_HAS_VECTORS 0
#endif

/* The number of the lowest bit that is set in `bits`, which are not 0. */
static inline unsigned snn_lowest_bit(unsigned bits)
{
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__) || defined(__ARM_FEATURE_CLZ))
    return (unsigned)__builtin_ctz(bits);
#else /* processors without such an instruction: shorter than what a compiler's library does */
    unsigned number = 0;
    while ((bits & 1) == 0) {
        bits >>= 1;
        ++number;
    }
    return number;
#endif
}

#endif
