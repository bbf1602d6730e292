/* snn.h - what an application needs to know of the snngen runtime.
 *
 * The runtime executes integer spiking networks that snngen has emitted as constant data. It uses
 * no heap, no floating point, no recursion and no variable that outlives a call: all that changes
 * during an inference lies in one block of memory, the arena, which the caller owns.
 *
 *   - The arena must hold at least <PREFIX>_ARENA_BYTES bytes, aligned to SNN_ARENA_ALIGNMENT. Its
 *     content need not be initialised, and means nothing between calls; but a network of event coding
 *     remembers there what it has seen, from its reset on.
 *   - Calls with different arenas may run at the same time, of one network or of several.
 *   - What a call is given - arena, input, and where membranes go - does not overlap, and is as large
 *     as the header of the network says: of these sizes only that of the arena can be checked. A call
 *     that is refused for what it was given writes nothing but, of a quantised input, the arena.
 *   - No sum can overflow: snngen has proven a bound for each of them before it emitted the network.
 *
 * C99, freestanding: the only outside functions used are memcpy, memset and, for the link, memmove,
 * which compilers expect of every platform. */
#ifndef SNN_H
#define SNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* That of int32_t on the platform: 4 on most, 1 on AVR. */
struct snn_alignment {
    char before;
    int32_t value;
};
#define SNN_ARENA_ALIGNMENT offsetof(struct snn_alignment, value)

/* What a call returns that did not succeed; all are negative. */
enum {
    SNN_NULL_POINTER = -1,       /* the arena or the input is NULL */
    SNN_ARENA_TOO_SMALL = -2,    /* fewer than <PREFIX>_ARENA_BYTES bytes */
    SNN_MISALIGNED = -3,         /* the arena to SNN_ARENA_ALIGNMENT, values or membranes to their type */
    SNN_VALUE_OUT_OF_RANGE = -4, /* a quantised input that no byte stands for */
    SNN_SELFTEST_FAILED = -5,    /* the trace differs from the one that snngen computed */
    SNN_NOT_RESET = -6           /* a stream goes on in an arena that was never reset */
};

/* Some neurons of one layer at one timestep: `count` neighbours, beginning with number `neuron`.
 * Neurons are numbered (y * width + x) * channels + channel. */
typedef struct snn_step {
    uint16_t layer;           /* in the order of snngen.json */
    uint16_t timestep;        /* of a stream since its reset, 65534 at most */
    uint32_t count;
    uint32_t neuron;
    const int32_t *outputs;   /* what each neuron sends: spikes, a count, or a current */
    const int32_t *membranes; /* the membrane after the reset, a level neuron's sum; may be NULL */
} snn_step;

/* Is told every step of every layer, in an order that depends on the schedule. `user` is the pointer
 * that came with the callback; the step is valid during the call only. */
typedef void snn_trace_fn(void *user, const snn_step *step);

/* Hashes a whole trace: adds what it is told of to the uint32_t that `user` points to, 0 at first.
 * The sum does not depend on the order; it is what a self-test compares. */
snn_trace_fn snn_hash_step;

#ifdef __cplusplus
}
#endif

#endif
