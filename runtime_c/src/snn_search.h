/* snn_search.h - levels on processors of 8 bits, to which a comparison is dear, but products are more. */
#ifndef SNN_SEARCH_H
#define SNN_SEARCH_H

#include "snn_model.h"

/* How many of `count` ascending thresholds the sum has reached. */
uint16_t snn_reached(const SNN_FLASH int32_t *thresholds, uint16_t count, int32_t sum);

/* Levels above 0 of `width` neurons of one channel, `channels` apart: where sums have reached any of
 * `levels` thresholds. */
void snn_find_levels(const SNN_FLASH int32_t *thresholds, uint16_t levels, const int32_t *sums,
                     uint8_t *bytes, uint16_t channels, uint16_t width);

#endif
