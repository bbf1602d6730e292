#include "snn_search.h"

#if SNN_8_BIT

#define IN_ORDER 8 /* thresholds that are compared one by one */

uint16_t snn_reached(const SNN_FLASH int32_t *thresholds, uint16_t count, int32_t sum)
{
    uint16_t level = 0;
    while (count > IN_ORDER) {
        const uint16_t half = count / 2;
        if (sum >= thresholds[half]) {
            thresholds += half + 1;
            level = (uint16_t)(level + half + 1);
            count = (uint16_t)(count - half - 1);
        } else {
            count = half;
        }
    }
    for (uint8_t left = (uint8_t)count; left > 0 && sum >= *thresholds; --left) {
        ++thresholds;
        ++level;
    }
    return level;
}

void snn_find_levels(const SNN_FLASH int32_t *thresholds, uint16_t levels, const int32_t *sums,
                     uint8_t *bytes, uint16_t channels, uint16_t width)
{
    const int32_t first = *thresholds++;
    for (--levels; width > 0; --width) {
        const int32_t sum = *sums;
        if (sum >= first) {
            *bytes = (uint8_t)(1 + snn_reached(thresholds, levels, sum));
        }
        sums += channels;
        bytes += channels;
    }
}

#endif
