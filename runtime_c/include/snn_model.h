/* snn_model.h - a network as constant data: what emitted code fills in, and the operators it names.
 *
 * Values are stored channel innermost: a *row* is the channels of one position, a *plane* is the
 * rows of all positions, and a layer that is evaluated for all timesteps at once keeps one plane for
 * each of them. A *line* is the rows of one y, in scratch: 32-bit integers, [x][channel].
 *
 *            plane t                      row of position (y, x)
 *     +-------------------+               +----+----+----+-- --+------+
 *     | (0,0) (0,1) (0,2) |   row  ---->  | c0 | c1 | c2 | ... | cC-1 |
 *     | (1,0) (1,1) (1,2) |               +----+----+----+-- --+------+
 *     +-------------------+               SNN_BITS: eight channels per byte, lowest bit first
 */
#ifndef SNN_MODEL_H
#define SNN_MODEL_H

#include <stdbool.h>

#include "snn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a pointer to constant parameters is declared with: on processors that do not read flash like
 * memory, and whose compiler knows that, parameters stay there. (GNU C; the macro __FLASH is also
 * defined where a strict standard rules out the name.) Descriptors are copied to memory on these. */
#if defined(__FLASH) && !defined(__STRICT_ANSI__)
#define SNN_FLASH __flash
#define SNN_FLASH_IS_APART 1
#else
#define SNN_FLASH
#define SNN_FLASH_IS_APART 0
#endif

/* Processors of 8 bits multiply and add bytes, and search for levels; others have two weights in a word,
 * and multiply. Either way gives the same results; a compiler's option can choose the first elsewhere. */
#ifndef SNN_8_BIT
#ifdef __AVR__
#define SNN_8_BIT 1
#else
#define SNN_8_BIT 0
#endif
#endif

/* A parameter of the one kind or the other. */
#if SNN_8_BIT
#define SNN_IF_8_BIT(array) (array)
#define SNN_UNLESS_8_BIT(array) NULL
#else
#define SNN_IF_8_BIT(array) NULL
#define SNN_UNLESS_8_BIT(array) (array)
#endif

/* How an element is stored. Arrays of parameters are never SNN_BITS. */
enum { SNN_BITS, SNN_U8, SNN_I8, SNN_I16, SNN_I32 };

/* Constant parameters, `data` points to elements of `type`; NULL stands for "all zero". */
typedef struct snn_array {
    const SNN_FLASH void *data;
    uint8_t type;
} snn_array;

/* Where in the arena the values of a layer lie, and in what form. */
typedef struct snn_values {
    uint16_t channels, height, width;
    uint16_t planes;    /* T, or 1 where each plane overwrites the one before */
    uint8_t type;
    size_t row_bytes;
    size_t plane_bytes;
    size_t offset;      /* bytes from the start of the arena */
} snn_values;

/* A window that slides over a zero-padded plane. */
typedef struct snn_window {
    uint16_t kernel_height, kernel_width;
    uint16_t stride_y, stride_x;
    uint16_t dilation_y, dilation_x;
    uint16_t pad_top, pad_left;
} snn_window;

/* --- Synapses: what a layer receives from one source ------------------------------------------ */

struct snn_synapse;

/* Adds to `line` number y of the layer what it receives from `source`: a plane of the synapse's
 * source, or what `prepare` made of it. */
typedef void snn_synapse_fn(int32_t *line, const struct snn_synapse *synapse,
                            const unsigned char *source, uint16_t y);

/* Makes in `prepared` what line y needs of `plane`; called for y = 0, 1, 2, ... */
typedef void snn_prepare_fn(const struct snn_synapse *synapse, unsigned char *prepared,
                            const unsigned char *plane, uint16_t y);

typedef struct snn_synapse {
    snn_synapse_fn *add;
    const void *op;           /* the snn_*_op that `add` expects */
    const snn_values *source;
    uint16_t channels, width; /* of the layer that receives */
    snn_prepare_fn *prepare;  /* or NULL */
    size_t prepared;          /* bytes from the start of the arena */
    size_t prepared_bytes;    /* of one timestep */
} snn_synapse;

typedef struct snn_conv_op {
    snn_array weights;        /* [ky][kx][input channel][output channel of the group] */
    snn_window window;
    uint16_t groups;
} snn_conv_op;

/* The weights of two outputs, which fit a byte each: SNN_SUM for snn_lanes, SNN_HALVES for snn_wide. */
#if SNN_8_BIT
typedef struct snn_pair {
    int8_t low, high;
} snn_pair;
#define SNN_SUM(low, high) {low, high}
#define SNN_HALVES(low, high) {low, high}
#else
typedef int32_t snn_pair;
#define SNN_SUM(low, high) ((low) + INT32_C(65536) * (high))
#define SNN_HALVES(low, high) ((int32_t)((low) & 0xFFFF) + INT32_C(65536) * (high))
#endif

/* A convolution by events, those inputs that are not 0, with the weights of two outputs in a word. A
 * dense layer is one whose window is all that it reads.
 *
 * snn_lanes adds both outputs at once: a word is the weight of output 2k plus 2**16 times that of
 * output 2k + 1, modulo 2**32, and as long as all sums fit 16 bits, so is a sum of words. snn_wide
 * keeps sums of 32 bits: the halves of a word are the two weights. */
typedef struct snn_lanes_op {
    const SNN_FLASH void *weights; /* [ky][kx][input channel][word], `words` of them */
    snn_window window;        /* dilation 1 */
    uint16_t words;           /* even; what lies beyond the last output is 0 */
    uint16_t rows_at_once;    /* of the window, over which sums provably fit 16 bits; snn_lanes */
    bool merges_rows;         /* into one list for each line, ordered by columns; all at once */
    bool has_pairs;           /* the words are snn_pairs, else int32_t */
} snn_lanes_op;

/* A convolution that sends every event to the sums of all that it reaches, two 16-bit sums in a word
 * as in snn_lanes. Sums of `lines` lines are open at a time. */
typedef struct snn_scatter_op {
    const SNN_FLASH int32_t *weights; /* [ky][kx % stride][input channel][kx / stride, falling][word] */
    snn_window window;        /* dilation 1 */
    uint16_t words;           /* even; what lies beyond the last output is 0 */
    uint16_t lines;           /* of outputs that an event reaches */
    uint16_t height;          /* of the layer that receives */
} snn_scatter_op;

/* A convolution that takes every input, with vectors, whose pairs are of neighbouring inputs: low and
 * high half of a word. Outputs are in blocks of 16; the last one has 8 where no more are left. */
typedef struct snn_dense_op {
    const SNN_FLASH int32_t *weights; /* [block][ky][pair of [kx][input channel]][output]; beyond those: 0 */
    snn_window window;        /* dilation 1 */
} snn_dense_op;

typedef struct snn_linear_op {
    snn_array weights;        /* [y][x][input channel][output] */
} snn_linear_op;

/* A convolution or a dense layer for flash rather than for speed. What an input sends to the outputs of
 * its group is a row, or, of a depthwise convolution, what a tap sends to all: rows begin with a byte. */
typedef struct snn_packed_op {
    const SNN_FLASH uint8_t *weights; /* [ky][kx][group][input][row of outputs], or [ky][kx][row] */
    snn_window window;
    uint16_t groups;          /* 1 of a depthwise convolution */
    uint16_t inputs, outputs; /* of a group; of a depthwise convolution 1 and all */
    uint16_t row_bytes;
    uint8_t chunk_bytes;      /* of 40 weights */
    uint8_t bits;             /* of a weight, 2 to 8; of ternary ones 0 */
    bool is_depthwise;
} snn_packed_op;

typedef struct snn_scale_op {
    snn_array weights;        /* [channel] */
} snn_scale_op;

typedef struct snn_sum_pool_op {
    snn_array multiplier;     /* [y][x] of the output, or NULL */
    snn_window window;
} snn_sum_pool_op;

typedef struct snn_max_pool_op {
    snn_window window;
    int32_t most_behind;      /* the largest running count, of a stream; else 0 */
} snn_max_pool_op;

typedef struct snn_select_op {
    const SNN_FLASH int16_t *channels, *rows, *columns; /* where each comes from; -1: nothing comes */
} snn_select_op;

snn_synapse_fn snn_conv;      /* groups, strides, dilations, padding */
snn_synapse_fn snn_depthwise; /* an snn_conv_op with as many groups as inputs and outputs */
snn_synapse_fn snn_lanes;     /* with snn_list_counts */
snn_synapse_fn snn_wide;      /* with snn_list_counts */
snn_prepare_fn snn_list_counts;
snn_synapse_fn snn_scattered; /* with snn_scatter */
snn_prepare_fn snn_scatter;
snn_synapse_fn snn_dense;     /* with snn_widen */
snn_prepare_fn snn_widen;
snn_synapse_fn snn_linear;
snn_synapse_fn snn_packed;    /* weights of 2 to 8 bits */
snn_synapse_fn snn_ternary;   /* an snn_packed_op whose weights are -1, 0 and 1, five in a byte */
snn_synapse_fn snn_scale;
snn_synapse_fn snn_sum_pool;  /* the only synapse of its layer */
snn_synapse_fn snn_max_pool;  /* the only synapse of its layer; one timestep, or a constant source */
snn_synapse_fn snn_select;

/* --- Neurons ----------------------------------------------------------------------------------- */

/* One timestep of one line of neurons: takes the current, which need not be left as it is, and
 * stores what they send at `rows`, a line of `output`; updates `membrane`, which is NULL where
 * neurons do not remember, and for neurons that take spikes back also `balance`. */
typedef void snn_neuron_fn(const void *op, const snn_values *output, unsigned char *rows,
                           int32_t *current, int32_t *membrane, int32_t *balance);

typedef struct snn_if_op {
    const SNN_FLASH int32_t *threshold; /* [channel], all >= 1 */
    const SNN_FLASH int32_t *v_min;     /* [channel], or NULL: no lower bound */
    const SNN_FLASH int32_t *v_max;     /* [channel], or NULL: no upper bound */
    int32_t max_spikes;       /* in one timestep, >= 1 */
    bool reset_to_zero;       /* else the threshold is subtracted for each spike */
    bool takes_back;          /* sends -1 where v < 0 and more spikes were sent than taken back */
} snn_if_op;

/* The level of a channel, where the current is `first` or more, is 1 + ((u * multiplier + offset) >>
 * shift), u = min(current, last), modulo 2**32, or more, by `comparisons` at most: then it is counted
 * on, to the last threshold that is reached. */
typedef struct snn_steps {
    int32_t first, last;
    uint32_t multiplier, offset;
} snn_steps;

/* Where that takes 64 bits: 1 + ((current * multiplier + offset) >> 32 >> shift), `levels` at most. */
typedef struct snn_wide_steps {
    int64_t offset;
    int32_t multiplier, first;
} snn_wide_steps;

typedef struct snn_level_op {
    const SNN_FLASH snn_steps *steps;           /* [channel], or NULL */
    const SNN_FLASH snn_wide_steps *wide_steps; /* [channel], or NULL */
    const SNN_FLASH int32_t *thresholds; /* [channel][level], ascending; or NULL where nothing is compared */
    uint16_t levels;
    uint16_t comparisons;
    uint8_t shift;
    int32_t lowest;                      /* what is sent where no threshold is reached */
} snn_level_op;

/* The same one threshold after the other, for flash rather than for speed. */
typedef struct snn_climb_op {
    snn_array thresholds;                /* [channel][level], ascending */
    uint16_t levels;
    int32_t lowest;
} snn_climb_op;

/* The same by comparing all thresholds, with vectors. */
typedef struct snn_compare_op {
    const SNN_FLASH int32_t *thresholds; /* [level][channel], ascending */
    uint16_t levels;
    int32_t lowest;
} snn_compare_op;

typedef struct snn_saturate_op {
    int32_t limit;            /* of the sums' magnitudes */
} snn_saturate_op;

snn_neuron_fn snn_if;
snn_neuron_fn snn_level;
snn_neuron_fn snn_climb;
snn_neuron_fn snn_compare;
snn_neuron_fn snn_accumulate; /* has no op */
snn_neuron_fn snn_saturate;   /* the same within limits */

/* --- Layers ------------------------------------------------------------------------------------ */

/* The part of a run that is handed to a layer: timesteps begin <= t < end. */
typedef struct snn_call {
    unsigned char *arena;
    uint16_t timesteps;       /* T, of the whole run */
    uint16_t begin, end;
    snn_trace_fn *trace;      /* or NULL */
    void *user;
} snn_call;

struct snn_layer;
typedef void snn_layer_fn(const struct snn_layer *layer, const snn_call *call);

/* A pooling layer whose windows tile its source: it takes each line as it comes, so that the source
 * needs memory for one line only. */
typedef struct snn_pooled {
    const snn_values *output;
    uint16_t height, width;   /* of a window, and from one to the next */
    uint16_t number;          /* as in snn_step */
    bool takes_maximum;       /* of counts, else their sum */
} snn_pooled;

/* A layer is evaluated line by line, and each line for all timesteps of the call, in 32-bit lines at
 * `scratch`. A layer that gets all timesteps in one call needs no other state; one that is called
 * step by step keeps it in `membrane` and `balance`. */
typedef struct snn_layer {
    snn_layer_fn *run;
    const snn_values *output;    /* of a layer with `pooled`, one line of it */
    const snn_pooled *pooled;    /* or NULL */
    const snn_synapse *synapses; /* those with constant sources first */
    uint16_t constant_synapses;  /* how many are added up once per call */
    uint16_t synapse_count;
    snn_array bias;              /* [channel], or NULL */
    snn_neuron_fn *fire;         /* NULL: the current is sent on */
    const void *neuron;          /* the snn_*_op that `fire` expects */
    snn_array initial;           /* the membrane before the first timestep, [channel], or NULL */
    const snn_values *membrane;  /* what it remembers, or NULL */
    const snn_values *balance;   /* spikes sent less spikes taken back, or NULL */
    size_t scratch;              /* bytes from the start of the arena */
    uint16_t number;             /* as in snn_step */
    bool has_membrane;           /* its neurons remember */
    bool has_balance;            /* its neurons take spikes back */
    bool is_constant;            /* sends the same at every timestep: evaluated once */
} snn_layer;

snn_layer_fn snn_gather;          /* the sum of the synapses, then the neurons */
snn_layer_fn snn_trains;          /* the same for an snn_if_op with max_spikes 1, that subtracts, all of
                                     whose synapses have constant sources; all timesteps in a call */
snn_layer_fn snn_max_pool_counts; /* max pooling of spike trains, by running counts */

/* --- Networks ---------------------------------------------------------------------------------- */

typedef struct snn_model {
    const snn_values *input;
    snn_array table;             /* [channel][256]: the value that a byte stands for; NULL: itself */
    const SNN_FLASH int16_t *lowest, *highest; /* [channel]: the range of these values */
    bool channels_differ;        /* else the table and the range hold one row for all channels */
    const snn_layer *layers;     /* in the order of evaluation */
    const snn_layer *output;     /* the one that accumulates */
    uint16_t layer_count;
    uint16_t layers_at_once;     /* this many first ones for all timesteps, then the rest t by t */
    uint16_t timesteps;
    bool image_is_chw;           /* the order of images and of quantised values, else HWC */
    bool output_is_chw;          /* the order of the membranes handed out, else HWC */
    size_t arena_bytes;
    size_t progress;             /* bytes from the start of the arena: how far a stream is, else 0 */
} snn_model;

/* What one inference is given besides the image. */
typedef struct snn_run_options {
    void *arena;
    size_t arena_bytes;
    int32_t *membranes;          /* receives the output membranes after the last timestep, or NULL */
    snn_trace_fn *trace;         /* or NULL */
    void *user;
} snn_run_options;

/* The index of the largest output membrane (the lowest where several are equal), or an error. */
int snn_run(const snn_model *model, const uint8_t *image, const snn_run_options *options);

/* The same for an input that is quantised already: values as the table holds them. */
int snn_run_quantised(const snn_model *model, const int16_t *values,
                      const snn_run_options *options);

/* A network of event coding runs without end, one timestep at a call, on the bins of that timestep:
 * as many bytes as an image. It is reset before the first. */
int snn_stream_reset(const snn_model *model, void *arena, size_t arena_bytes);
int snn_stream_step(const snn_model *model, void *arena, size_t arena_bytes, const uint8_t *bins,
                    snn_trace_fn *trace, void *user);

/* The index of the largest output membrane since the reset, or an error; all into `membranes`, or
 * NULL. */
int snn_stream_result(const snn_model *model, const void *arena, size_t arena_bytes,
                      int32_t *membranes);

/* Images whose traces are known. A trace is compared by a hash of every output and membrane of every
 * neuron at every timestep, summed so that the order of evaluation does not matter. */
typedef struct snn_known_answers {
    const SNN_FLASH uint8_t *images;  /* [count][timesteps, of streams][image_bytes] */
    const SNN_FLASH uint32_t *hashes; /* [count] */
    uint16_t count;
    uint16_t timesteps;          /* of each stream */
    size_t image_bytes;
} snn_known_answers;

/* 0, or SNN_SELFTEST_FAILED, or another error. */
int snn_selftest(const snn_model *model, const snn_known_answers *known, void *arena,
                 size_t arena_bytes);
int snn_selftest_streams(const snn_model *model, const snn_known_answers *known, void *arena,
                         size_t arena_bytes);

#ifdef __cplusplus
}
#endif

#endif
