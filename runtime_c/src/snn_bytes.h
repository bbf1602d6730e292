/* snn_bytes.h - sums of events whose weights are bytes, as all are on processors of 8 bits: an event's
 * word counts pairs of them. Counts are bytes too, without sign. */
#ifndef SNN_BYTES_H
#define SNN_BYTES_H

#include "snn_events.h"

#define SNN_MOST_BYTES (2 * (size_t)UINT16_MAX) /* that an event's word counts */

/* Whether sums of eight may have 32 bits, as those of four; else what is added must fit 16. */
#define SNN_ADD_8_IS_WIDE (!SNN_FLASH_IS_APART)

/* Adds to eight or four numbers what the outputs receive whose weights are `first` bytes into those of
 * an event; `rows` slices, at most 255. */
void snn_add_8(int32_t *current, size_t first, const snn_slice *slices, uint16_t rows);
void snn_add_4(int32_t *current, size_t first, const snn_slice *slices, uint16_t rows);

#endif
