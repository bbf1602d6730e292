/* model.h - the spiking network 'spiking_showcase', converted by snngen 0.1.0 (drawn).
 *
 * Network 4bfa280e367154ee299ddb00c696a025e0101b40c657fd04b8475f21c09be462.
 * Generated: change the network and emit again, rather than this file. */
#ifndef MODEL_H
#define MODEL_H

#include "snn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_NAME "spiking_showcase"
#define MODEL_DIGEST "4bfa280e367154ee299ddb00c696a025e0101b40c657fd04b8475f21c09be462"
#define MODEL_ARENA_BYTES 1800ul
#define MODEL_INPUT_BYTES 72ul /* CHW of 2x6x6 (CxHxW) */
#define MODEL_CHANNELS 2
#define MODEL_HEIGHT 6
#define MODEL_WIDTH 6
#define MODEL_IMAGE_IS_CHW 1
#define MODEL_OUTPUTS 5
#define MODEL_TIMESTEPS 12
#define MODEL_OUTPUT_SCALE 0.5 /* the CNN's output is about membrane * scale */

/* An arena as a variable:  static model_arena arena;  every call takes &arena, sizeof arena. */
typedef union model_arena {
    unsigned char bytes[MODEL_ARENA_BYTES];
    int32_t alignment;
} model_arena;

/* Classifies one image.
 *
 *   arena, arena_bytes  working memory of the caller, see snn.h
 *   image               MODEL_INPUT_BYTES bytes, CHW
 *   membranes           receives the MODEL_OUTPUTS output membranes after the last timestep,
 *                       CHW; or NULL
 *
 * Returns the index of the largest membrane, the lowest where several are equal, or a negative
 * error of snn.h. */
int model_run(void *arena, size_t arena_bytes, const uint8_t *image, int32_t *membranes);

/* The same for an input that is quantised already: in place of each byte the value that it stands
 * for. Values that no byte stands for are refused with SNN_VALUE_OUT_OF_RANGE. */
int model_run_quantised(void *arena, size_t arena_bytes, const int16_t *values,
                      int32_t *membranes);

/* Like model_run; every output and membrane of every neuron at every timestep is told to `trace`,
 * which gets `user` as it is. The last layer's membranes at timestep t are the network's answer
 * had it stopped there. */
int model_run_traced(void *arena, size_t arena_bytes, const uint8_t *image, int32_t *membranes,
                   snn_trace_fn *trace, void *user);

/* Runs the inputs of model_selftest.c and compares the hashes of their whole traces with those that
 * snngen computed. Returns 0, or a negative error. Without a call, the linker leaves it out. */
int model_selftest(void *arena, size_t arena_bytes);

#ifdef __cplusplus
}
#endif

#endif
