/* check.h - the smallest test harness: a failed comparison names its place and both values. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "snn_model.h"

static inline void check_row(const char *what, const int32_t *got, const int32_t *expected,
                             size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (got[i] != expected[i]) {
            fprintf(stderr, "%s: element %u is %ld, not %ld\n", what, (unsigned)i, (long)got[i],
                    (long)expected[i]);
            exit(1);
        }
    }
}

#define CHECK_ROW(got, ...)                                                                      \
    do {                                                                                         \
        const int32_t expected_[] = {__VA_ARGS__};                                               \
        check_row(#got " at line " CHECK_TEXT(__LINE__), got, expected_,                         \
                  sizeof expected_ / sizeof expected_[0]);                                       \
    } while (0)
#define CHECK_TEXT(line) CHECK_TEXT_(line)
#define CHECK_TEXT_(line) #line

#endif
