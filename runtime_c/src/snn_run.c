#include "snn_report.h"
#include "snn_row.h"

#define CODES_PER_CHANNEL 256

static int check(const snn_model *model, const void *input, const snn_run_options *options)
{
    if (input == NULL || options->arena == NULL) {
        return SNN_NULL_POINTER;
    }
    if (options->arena_bytes < model->arena_bytes) {
        return SNN_ARENA_TOO_SMALL;
    }
    if ((uintptr_t)options->arena % SNN_ARENA_ALIGNMENT != 0) {
        return SNN_ARENA_MISALIGNED;
    }
    return 0;
}

/* The index of (channel c, position i) in an array of the user's. */
static size_t user_index(const snn_values *values, bool is_chw, uint16_t c, size_t i)
{
    const size_t positions = (size_t)values->height * values->width;
    return is_chw ? c * positions + i : i * values->channels + c;
}

/* Stores the value of channel `c` in row `row` of the input, which is never SNN_BITS. */
static void put_input(const snn_model *model, unsigned char *arena, size_t row, uint16_t c,
                      int32_t value)
{
    const snn_values *input = model->input;
    unsigned char *to = arena + input->offset + row * input->row_bytes;
    const size_t element_bytes = input->type == SNN_I16 ? 2 : 1;
    snn_put_row(to + c * element_bytes, input->type, 1, &value);
}

/* Whether the input is bytes in the order of the image, all looked up in one table of bytes. */
static bool is_plain(const snn_model *model)
{
    const bool same_order = !model->image_is_chw || model->input->channels == 1;
    return same_order && !model->channels_differ && model->table.type == model->input->type
           && model->input->type != SNN_I16;
}

static void put_bytes(unsigned char *restrict to, const uint8_t *restrict image,
                      const uint8_t *restrict table, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = table[image[i]];
    }
}

static int32_t largest_output(const snn_model *model, const snn_run_options *options)
{
    const snn_values *values = model->output->output;
    const unsigned char *plane =
        snn_plane(options->arena, values, (uint16_t)(model->timesteps - 1));
    const size_t rows = (size_t)values->height * values->width;
    const size_t count = rows * values->channels;
    size_t best = 0;
    int32_t most = 0;

    for (size_t k = 0; k < count; ++k) {
        const size_t c = model->output_is_chw ? k / rows : k % values->channels;
        const size_t row = model->output_is_chw ? k % rows : k / values->channels;
        const int32_t v = snn_get(plane + row * values->row_bytes, values->type, c);
        if (options->membranes != NULL) {
            options->membranes[k] = v;
        }
        if (k == 0 || v > most) {
            most = v;
            best = k;
        }
    }
    return (int32_t)best;
}

static int evaluate(const snn_model *model, const snn_run_options *options)
{
    snn_call call = {
        .arena = options->arena,
        .timesteps = model->timesteps,
        .trace = options->trace,
        .user = options->user,
    };
    for (uint16_t i = 0; i < model->layers_at_once; ++i) {
        const snn_layer *layer = &model->layers[i];
        call.begin = 0;
        call.end = layer->is_constant ? 1 : model->timesteps;
        layer->run(layer, &call);
    }
    if (model->layers_at_once < model->layer_count) {
        for (uint16_t t = 0; t < model->timesteps; ++t) {
            call.begin = t;
            call.end = (uint16_t)(t + 1);
            for (uint16_t i = model->layers_at_once; i < model->layer_count; ++i) {
                model->layers[i].run(&model->layers[i], &call);
            }
        }
    }
    return (int)largest_output(model, options);
}

int snn_run(const snn_model *model, const uint8_t *image, const snn_run_options *options)
{
    const snn_values *input = model->input;
    const size_t rows = (size_t)input->height * input->width;
    const int error = check(model, image, options);
    if (error != 0) {
        return error;
    }
    if (is_plain(model)) {
        put_bytes((unsigned char *)options->arena + input->offset, image, model->table.data,
                  rows * input->channels);
        return evaluate(model, options);
    }
    for (size_t row = 0; row < rows; ++row) {
        for (uint16_t c = 0; c < input->channels; ++c) {
            const uint8_t code = image[user_index(input, model->image_is_chw, c, row)];
            const size_t first = model->channels_differ ? (size_t)c * CODES_PER_CHANNEL : 0;
            put_input(model, options->arena, row, c, snn_at(&model->table, first + code));
        }
    }
    return evaluate(model, options);
}

int snn_run_quantised(const snn_model *model, const int16_t *values,
                      const snn_run_options *options)
{
    const snn_values *input = model->input;
    const size_t rows = (size_t)input->height * input->width;
    const int error = check(model, values, options);
    if (error != 0) {
        return error;
    }
    for (size_t row = 0; row < rows; ++row) {
        for (uint16_t c = 0; c < input->channels; ++c) {
            const int16_t value = values[user_index(input, model->image_is_chw, c, row)];
            const uint16_t k = model->channels_differ ? c : 0;
            if (value < model->lowest[k] || value > model->highest[k]) {
                return SNN_VALUE_OUT_OF_RANGE; /* the proven bounds would not hold */
            }
            put_input(model, options->arena, row, c, value);
        }
    }
    return evaluate(model, options);
}
