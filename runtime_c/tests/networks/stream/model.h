/* model.h - the spiking network 'stream_showcase', converted by snngen 0.1.0 (drawn).
 *
 * Network aa82816ec2517638f5556571d6c20b00258ae717af81af73f7d4a6b96ccb8a07.
 * Generated: change the network and emit again, rather than this file. */
#ifndef MODEL_H
#define MODEL_H

#include "snn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_NAME "stream_showcase"
#define MODEL_DIGEST "aa82816ec2517638f5556571d6c20b00258ae717af81af73f7d4a6b96ccb8a07"
#define MODEL_ARENA_BYTES 3460ul
#define MODEL_INPUT_BYTES 128ul /* CHW of 2x8x8 (CxHxW) */
#define MODEL_CHANNELS 2
#define MODEL_HEIGHT 8
#define MODEL_WIDTH 8
#define MODEL_IMAGE_IS_CHW 1
#define MODEL_OUTPUTS 5
#define MODEL_TIMESTEPS 16
#define MODEL_OUTPUT_SCALE 0.5 /* the CNN's output is about membrane * scale */

/* An arena as a variable:  static model_arena arena;  every call takes &arena, sizeof arena. */
typedef union model_arena {
    unsigned char bytes[MODEL_ARENA_BYTES];
    int32_t alignment;
} model_arena;

/* A stream of events: reset, then a step for every timestep, for as long as it lasts. In between, the
 * arena holds all that the network remembers, and belongs to it.
 *
 * Any number of steps is exact: membranes are clamped, and output membranes stay within +-700,
 * which they cannot reach before step 5 after a reset. MODEL_TIMESTEPS is how many steps the
 * network was converted for: after so many the CNN's output is about membrane * MODEL_OUTPUT_SCALE.
 *
 *   arena, arena_bytes  working memory of the caller, see snn.h
 *   bins                MODEL_INPUT_BYTES bytes, CHW: the events of this timestep, counted per
 *                       pixel and channel (polarity), at most 255
 *   membranes           receives the MODEL_OUTPUTS output membranes, CHW; or NULL
 *
 * All return a negative error of snn.h where they cannot, SNN_NOT_RESET where no reset came first. */

/* Forgets all steps. Returns 0. */
int model_reset(void *arena, size_t arena_bytes);

/* Returns 0. */
int model_step(void *arena, size_t arena_bytes, const uint8_t *bins);

/* Returns the index of the largest output membrane, the lowest where several are equal; at any time,
 * and changes nothing. */
int model_result(const void *arena, size_t arena_bytes, int32_t *membranes);

/* Like model_step; every output and membrane of every neuron is told to `trace`, which gets `user` as
 * it is. */
int model_step_traced(void *arena, size_t arena_bytes, const uint8_t *bins, snn_trace_fn *trace,
                    void *user);

/* Runs the inputs of model_selftest.c and compares the hashes of their whole traces with those that
 * snngen computed. Returns 0, or a negative error. Without a call, the linker leaves it out. */
int model_selftest(void *arena, size_t arena_bytes);

#ifdef __cplusplus
}
#endif

#endif
