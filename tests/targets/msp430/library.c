/* What clang expects of a library for MSP430, which Debian does not have: names as in "MSP430 Embedded
 * Application Binary Interface" (Texas Instruments, SLAA534), chapter 6. */
#include <stddef.h>
#include <string.h>

typedef unsigned int u16;
typedef unsigned long u32;

#define MULTIPLY(name, type)                                                                        \
    type name(type a, type b);                                                                      \
    type name(type a, type b)                                                                       \
    {                                                                                               \
        type product = 0;                                                                           \
        for (; b != 0; b >>= 1) {                                                                   \
            product += (b & 1) != 0 ? a : 0;                                                        \
            a += a;                                                                                 \
        }                                                                                           \
        return product;                                                                             \
    }

/* The quotient takes the place of the dividend, bit by bit. */
#define DIVIDE(name, type, bits, result)                                                           \
    type name(type dividend, type divisor);                                                        \
    type name(type dividend, type divisor)                                                         \
    {                                                                                              \
        type remainder = 0;                                                                        \
        for (int i = 0; i < bits; ++i) {                                                           \
            remainder = (type)(remainder << 1) | (dividend >> (bits - 1));                         \
            dividend <<= 1;                                                                        \
            if (remainder >= divisor) {                                                            \
                remainder -= divisor;                                                              \
                dividend |= 1;                                                                     \
            }                                                                                      \
        }                                                                                          \
        return result;                                                                             \
    }

MULTIPLY(__mspabi_mpyi, u16)
MULTIPLY(__mspabi_mpyl, u32)
DIVIDE(__mspabi_divu, u16, 16, dividend)
DIVIDE(__mspabi_remu, u16, 16, remainder)
DIVIDE(__mspabi_divul, u32, 32, dividend)
DIVIDE(__mspabi_remul, u32, 32, remainder)

long __mspabi_divli(long dividend, long divisor);
long __mspabi_divli(long dividend, long divisor)
{
    const u32 n = dividend < 0 ? 0 - (u32)dividend : (u32)dividend;
    const u32 d = divisor < 0 ? 0 - (u32)divisor : (u32)divisor;
    const u32 quotient = __mspabi_divul(n, d);
    return (long)((dividend < 0) != (divisor < 0) ? 0 - quotient : quotient);
}

/* The empty statements keep compilers from making shifts, that is calls, of these loops. */
u32 __mspabi_slll(u32 value, u16 places);
u32 __mspabi_slll(u32 value, u16 places)
{
    while (places-- > 0) {
        value += value;
        __asm volatile("");
    }
    return value;
}

u32 __mspabi_srll(u32 value, u16 places);
u32 __mspabi_srll(u32 value, u16 places)
{
    while (places-- > 0) {
        value >>= 1;
        __asm volatile("");
    }
    return value;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    const char *read = from;
    for (char *written = to; bytes > 0; --bytes) {
        *written++ = *read++;
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    for (char *written = to; bytes > 0; --bytes) {
        *written++ = (char)value;
    }
    return to;
}
