/* Dense int8 inference, as fast as it is known to be done: what a generator that knows the network
 * would emit. Planes of 16-bit values with their padding, positions by positions, channels innermost;
 * eight sums in registers, of two positions and four outputs; pooling and rounding at once.
 *
 * With the DSP extension two products at a time, of weights stored as 16-bit pairs; else weights are
 * bytes. Everything is inlined with constant sizes. */
#ifndef FAST_H
#define FAST_H

#include <stdint.h>
#include <string.h>

/* Instructions in the order of the source: ordered by gcc, sums do not stay in registers. */
#pragma GCC optimize("no-schedule-insns")

#define INLINE static inline __attribute__((always_inline))

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>
typedef uint32_t weight; /* of two inputs */
#define INPUTS_AT_ONCE 2
#else
typedef int8_t weight;
#define INPUTS_AT_ONCE 1
#endif

/* A plane that a window slides over. Elements: from a row to the next, `down` and `right` from a
 * window to the next, `run` contiguous ones in a row of the window. No operand: NULL. */
typedef struct {
    const int16_t *in;
    int row, down, right, height, run;
    const weight *weights; /* [output / 4][row][input][output % 4] */
} operand;

/* A plane that is added, channel by channel, with a factor. */
typedef struct {
    const int16_t *in;
    int row, right;
    const int32_t *factors;
} skip;

/* Where outputs go: windows of pool_height x pool_width positions are added up. */
typedef struct {
    int16_t *out;
    int row, right, pool_height, pool_width;
} target;

INLINE int16_t rounded(int32_t sum, int32_t multiplier)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(sum), "r"(multiplier));
    return (int16_t)__usat(high, 8);
#else
    if (sum <= 0) {
        return 0;
    }
    const int32_t high = (int32_t)(((int64_t)sum * multiplier + 0x80000000LL) >> 32);
    return (int16_t)(high > 255 ? 255 : high);
#endif
}

#if INPUTS_AT_ONCE == 2
INLINE uint32_t pair_at(const int16_t *at)
{
    uint32_t pair;
    memcpy(&pair, at, sizeof pair);
    return pair;
}

INLINE void add_2x4(int32_t *a, const operand *op, const int16_t *at, int group)
{
    const int pairs = (op->run + 1) / 2;
    const weight *w = op->weights + group * op->height * pairs * 4;
    for (int ky = 0; ky < op->height; ++ky) {
        const int16_t *p = at + ky * op->row, *const end = p + 2 * pairs;
#pragma GCC unroll 4
        do {
            const uint32_t u = pair_at(p), v = pair_at(p + op->right);
            a[0] = __smlad(u, w[0], a[0]), a[4] = __smlad(v, w[0], a[4]);
            a[1] = __smlad(u, w[1], a[1]), a[5] = __smlad(v, w[1], a[5]);
            a[2] = __smlad(u, w[2], a[2]), a[6] = __smlad(v, w[2], a[6]);
            a[3] = __smlad(u, w[3], a[3]), a[7] = __smlad(v, w[3], a[7]);
            p += 2, w += 4;
        } while (p != end);
    }
}

INLINE void add_1x4(int32_t *a, const int16_t *in, const weight *w, int inputs)
{
#pragma GCC unroll 4
    for (int i = 0; i < (inputs + 1) / 2; ++i) {
        const uint32_t u = pair_at(in);
        a[0] = __smlad(u, w[0], a[0]), a[1] = __smlad(u, w[1], a[1]);
        a[2] = __smlad(u, w[2], a[2]), a[3] = __smlad(u, w[3], a[3]);
        in += 2, w += 4;
    }
}
#else
INLINE void add_1x4(int32_t *a, const int16_t *in, const weight *w, int inputs)
{
#pragma GCC unroll 4
    for (int i = 0; i < inputs; ++i) {
        const int32_t u = *in++;
        a[0] += u * w[0], a[1] += u * w[1];
        a[2] += u * w[2], a[3] += u * w[3];
        w += 4;
    }
}

INLINE void add_2x4(int32_t *a, const operand *op, const int16_t *at, int group)
{
    const weight *w = op->weights + group * op->height * op->run * 4;
    for (int ky = 0; ky < op->height; ++ky) {
        const int16_t *p = at + ky * op->row;
#if defined(__ARM_ARCH_6M__) /* has too few registers for eight sums */
        add_1x4(a, p, w, op->run);
        add_1x4(a + 4, p + op->right, w, op->run);
        w += 4 * op->run;
#else
        const int16_t *const end = p + op->run;
#pragma GCC unroll 4
        do {
            const int32_t u = p[0], v = p[op->right];
            a[0] += u * w[0], a[4] += v * w[0];
            a[1] += u * w[1], a[5] += v * w[1];
            a[2] += u * w[2], a[6] += v * w[2];
            a[3] += u * w[3], a[7] += v * w[3];
            ++p, w += 4;
        } while (p != end);
#endif
    }
}
#endif

INLINE void put(int16_t *out, int16_t value, int pools)
{
    *out = (int16_t)(pools ? *out + value : value);
}

/* Where a position goes, or the window that it is in. */
INLINE int16_t *output_of(const target *to, int y, int x)
{
    return to->out + y / to->pool_height * to->row + x / to->pool_width * to->right;
}

/* Sums of one or two windows and a skip, for `channels` outputs, a multiple of four. */
INLINE void convolve(operand first, operand second, skip shortcut, target to, int height, int width,
                     int channels, const int32_t *bias, const int32_t *multiplier)
{
    const int pools = to.pool_height * to.pool_width > 1;
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; x += 2) {
            int16_t *o = output_of(&to, y, x), *next = output_of(&to, y, x + 1);
            for (int c = 0; c < channels; c += 4) {
                int32_t a[8] = {bias[c], bias[c + 1], bias[c + 2], bias[c + 3],
                                bias[c], bias[c + 1], bias[c + 2], bias[c + 3]};
                add_2x4(a, &first, first.in + y * first.down + x * first.right, c / 4);
                if (second.in != NULL) {
                    add_2x4(a, &second, second.in + y * second.down + x * second.right, c / 4);
                }
                if (shortcut.in != NULL) {
                    const int16_t *s = shortcut.in + y * shortcut.row + x * shortcut.right + c;
#pragma GCC unroll 4
                    for (int k = 0; k < 4; ++k) {
                        a[k] += shortcut.factors[c + k] * s[k];
                        a[4 + k] += shortcut.factors[c + k] * s[shortcut.right + k];
                    }
                }
#pragma GCC unroll 4
                for (int k = 0; k < 4; ++k) {
                    put(o + c + k, rounded(a[k], multiplier[c + k]), pools);
                    if (width % 2 == 0 || x + 1 < width) {
                        put(next + c + k, rounded(a[4 + k], multiplier[c + k]), pools);
                    }
                }
            }
        }
    }
}

/* A dense layer, whose outputs are a multiple of four; `sums` of a last layer are kept as they are. */
INLINE void connect(const int16_t *in, int inputs, const weight *weights, int16_t *out,
                    int32_t *sums, int outputs, const int32_t *bias, const int32_t *multiplier)
{
    const int step = (inputs + INPUTS_AT_ONCE - 1) / INPUTS_AT_ONCE * 4;
    for (int o = 0; o < outputs; o += 4) {
        int32_t a[4] = {bias[o], bias[o + 1], bias[o + 2], bias[o + 3]};
        add_1x4(a, in, weights + o / 4 * step, inputs);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
            if (sums != NULL) {
                sums[o + k] = a[k];
            } else {
                out[o + k] = rounded(a[k], multiplier[o + k]);
            }
        }
    }
}

/* Each channel by itself, two of them and two positions at a time; weights [row][column][channel]. */
INLINE void convolve_channels(const int16_t *in, int row, int down, int right, int kernel_height,
                              int kernel_width, const int16_t *weights, target to, int height,
                              int width, int channels, const int32_t *bias,
                              const int32_t *multiplier)
{
    const int pools = to.pool_height * to.pool_width > 1;
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; x += 2) {
            int16_t *o = output_of(&to, y, x), *next = output_of(&to, y, x + 1);
            for (int c = 0; c < channels; c += 2) {
                int32_t a0 = bias[c], a1 = bias[c + 1], b0 = a0, b1 = a1;
                const int16_t *w = weights + c;
                for (int ky = 0; ky < kernel_height; ++ky) {
                    const int16_t *p = in + y * down + x * right + ky * row + c;
#pragma GCC unroll 8
                    for (int kx = 0; kx < kernel_width; ++kx) {
                        a0 += p[0] * w[0], a1 += p[1] * w[1];
                        b0 += p[right] * w[0], b1 += p[right + 1] * w[1];
                        p += channels, w += channels;
                    }
                }
                put(o + c, rounded(a0, multiplier[c]), pools);
                put(o + c + 1, rounded(a1, multiplier[c + 1]), pools);
                if (width % 2 == 0 || x + 1 < width) {
                    put(next + c, rounded(b0, multiplier[c]), pools);
                    put(next + c + 1, rounded(b1, multiplier[c + 1]), pools);
                }
            }
        }
    }
}

#endif
