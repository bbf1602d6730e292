/* contender.h - what is measured: a network as C, whoever wrote it. */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <stdint.h>

/* The class of an image of INPUT_BYTES. */
int32_t contender_run(const uint8_t *image);

/* The first layer alone, with all that must be done before it. */
void contender_first(const uint8_t *image);

#endif
