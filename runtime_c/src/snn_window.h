/* snn_window.h - which row or column a tap of a sliding window reads. */
#ifndef SNN_WINDOW_H
#define SNN_WINDOW_H

#include "snn_model.h"

#define SNN_PADDING (-1)

/* The index along one axis, or SNN_PADDING where the tap falls on no input. */
static inline int32_t snn_tap(uint16_t position, uint16_t stride, uint16_t tap, uint16_t dilation,
                              uint16_t pad, uint16_t size)
{
    const int32_t index = (int32_t)position * stride + (int32_t)tap * dilation - pad;
    return index >= 0 && index < size ? index : SNN_PADDING;
}

/* From where the first of `width` windows begins to the end of the last one, or of the source. */
static inline size_t snn_columns_seen(const snn_window *window, const snn_values *source,
                                      uint16_t width)
{
    const size_t present = (size_t)window->pad_left + source->width;
    const size_t seen = (width - (size_t)1) * window->stride_x + window->kernel_width;
    return present > seen ? present : seen;
}

static inline int32_t snn_tap_y(const snn_window *window, const snn_values *source, uint16_t y,
                                uint16_t ky)
{
    return snn_tap(y, window->stride_y, ky, window->dilation_y, window->pad_top, source->height);
}

static inline int32_t snn_tap_x(const snn_window *window, const snn_values *source, uint16_t x,
                                uint16_t kx)
{
    return snn_tap(x, window->stride_x, kx, window->dilation_x, window->pad_left, source->width);
}

#endif
