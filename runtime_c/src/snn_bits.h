/* snn_bits.h - which bits of a byte are set. */
#ifndef SNN_BITS_H
#define SNN_BITS_H

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
