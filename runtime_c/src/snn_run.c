#include "snn_run.h"

#include "snn_ends.h"

/* Where int32_t is aligned at all, int16_t is, to its size. */
#define VALUE_ALIGNMENT (SNN_ARENA_ALIGNMENT > 1u ? sizeof(int16_t) : 1u)

static int check(const snn_model *model, const void *input, const snn_run_options *options)
{
    return input == NULL ? SNN_NULL_POINTER
                         : snn_check_arena(model, options->arena, options->arena_bytes,
                                           options->membranes);
}

int snn_evaluate(const snn_model *model, const snn_run_options *options)
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
    const uint16_t last = (uint16_t)(model->timesteps - 1);
    return snn_read_output(model, snn_plane(options->arena, model->output->output, last),
                           options->membranes);
}

int snn_run(const snn_model *model, const uint8_t *image, const snn_run_options *options)
{
    const int error = check(model, image, options);
    if (error != 0) {
        return error;
    }
    snn_put_image(model, options->arena, image);
    return snn_evaluate(model, options);
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
    if (!snn_is_aligned(values, VALUE_ALIGNMENT)) {
        return SNN_MISALIGNED;
    }
    for (size_t row = 0; row < rows; ++row) {
        for (uint16_t c = 0; c < input->channels; ++c) {
            const int16_t value = values[snn_user_index(input, model->image_is_chw, c, row)];
            const uint16_t k = model->channels_differ ? c : 0;
            if (value < model->lowest[k] || value > model->highest[k]) {
                return SNN_VALUE_OUT_OF_RANGE; /* the proven bounds would not hold */
            }
            snn_put_input(model, options->arena, row, c, value);
        }
    }
    return snn_evaluate(model, options);
}
