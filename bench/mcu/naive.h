/* Dense int8 inference as one writes it down: bytes, channels innermost, one output at a time. `value`
 * is a byte, or wider where the input has a sign. */
#ifndef NAIVE_H
#define NAIVE_H

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

typedef struct {
    const value *in;
    int height, width, channels;
    int kernel_height, kernel_width, down, right, top, left;
    const int8_t *weights; /* [output][row][column][input] */
} operand;

INLINE value rounded(int32_t sum, int32_t multiplier)
{
    if (sum <= 0) {
        return 0;
    }
    const int32_t high = (int32_t)(((int64_t)sum * multiplier + 0x80000000LL) >> 32);
    return (value)(high > 255 ? 255 : high);
}

INLINE int32_t window_sum(const operand *op, int y, int x, int output)
{
    int32_t sum = 0;
    const int8_t *w = op->weights + output * op->kernel_height * op->kernel_width * op->channels;
    for (int ky = 0; ky < op->kernel_height; ++ky) {
        for (int kx = 0; kx < op->kernel_width; ++kx) {
            const int iy = y * op->down + ky - op->top, ix = x * op->right + kx - op->left;
            if (iy < 0 || iy >= op->height || ix < 0 || ix >= op->width) {
                continue;
            }
            const value *p = op->in + (iy * op->width + ix) * op->channels;
            const int8_t *q = w + (ky * op->kernel_width + kx) * op->channels;
            for (int c = 0; c < op->channels; ++c) {
                sum += (int16_t)p[c] * (int16_t)q[c];
            }
        }
    }
    return sum;
}

INLINE void convolve(const operand *first, const operand *second, const value *skip,
                     const int32_t *factors, value *out, int height, int width, int channels,
                     const int32_t *bias, const int32_t *multiplier)
{
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            for (int o = 0; o < channels; ++o) {
                const int at = (y * width + x) * channels + o;
                int32_t sum = bias[o] + window_sum(first, y, x, o);
                if (second != NULL) {
                    sum += window_sum(second, y, x, o);
                }
                if (skip != NULL) {
                    sum += factors[o] * skip[at];
                }
                out[at] = rounded(sum, multiplier[o]);
            }
        }
    }
}

/* Each channel by itself; weights [row][column][channel]. */
INLINE void convolve_channels(const operand *op, value *out, int height, int width,
                              const int32_t *bias, const int32_t *multiplier)
{
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            for (int c = 0; c < op->channels; ++c) {
                int32_t sum = bias[c];
                for (int ky = 0; ky < op->kernel_height; ++ky) {
                    for (int kx = 0; kx < op->kernel_width; ++kx) {
                        const int iy = y * op->down + ky - op->top;
                        const int ix = x * op->right + kx - op->left;
                        if (iy >= 0 && iy < op->height && ix >= 0 && ix < op->width) {
                            sum += op->in[(iy * op->width + ix) * op->channels + c] *
                                   op->weights[(ky * op->kernel_width + kx) * op->channels + c];
                        }
                    }
                }
                out[(y * width + x) * op->channels + c] = rounded(sum, multiplier[c]);
            }
        }
    }
}

/* A dense layer; `sums` of a last one are kept as they are. */
INLINE void connect(const value *in, int inputs, const int8_t *weights, value *out, int32_t *sums,
                    int outputs, const int32_t *bias, const int32_t *multiplier)
{
    for (int o = 0; o < outputs; ++o) {
        int32_t sum = bias[o];
        for (int i = 0; i < inputs; ++i) {
            sum += (int16_t)in[i] * (int16_t)weights[o * inputs + i];
        }
        if (sums != NULL) {
            sums[o] = sum;
        } else {
            out[o] = rounded(sum, multiplier[o]);
        }
    }
}

INLINE void average(const value *in, value *out, int height, int width, int channels,
                    int pool_height, int pool_width)
{
    const int count = pool_height * pool_width;
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            for (int c = 0; c < channels; ++c) {
                int32_t sum = count / 2;
                for (int ky = 0; ky < pool_height; ++ky) {
                    for (int kx = 0; kx < pool_width; ++kx) {
                        const int iy = y * pool_height + ky, ix = x * pool_width + kx;
                        sum += in[(iy * width * pool_width + ix) * channels + c];
                    }
                }
                out[(y * width + x) * channels + c] = (value)(sum / count);
            }
        }
    }
}

#endif
