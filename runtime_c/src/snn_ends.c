#include "snn_ends.h"

int snn_check_arena(const snn_model *model, const void *arena, size_t arena_bytes,
                    const int32_t *membranes)
{
    if (arena == NULL) {
        return SNN_NULL_POINTER;
    }
    if (arena_bytes < model->arena_bytes) {
        return SNN_ARENA_TOO_SMALL;
    }
    if (!snn_is_aligned(arena, SNN_ARENA_ALIGNMENT)
        || !snn_is_aligned(membranes, SNN_ARENA_ALIGNMENT)) {
        return SNN_MISALIGNED;
    }
    return 0;
}

/* Whether the input is bytes in the order of the image, all looked up in one table of bytes or in none. */
static bool is_plain(const snn_model *model)
{
    const bool same_order = !model->image_is_chw || model->input->channels == 1;
    return same_order && !model->channels_differ && model->table.type == model->input->type
           && model->input->type != SNN_I16;
}

static void put_bytes(unsigned char *restrict to, const uint8_t *restrict image,
                      const SNN_FLASH uint8_t *restrict table, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = table == NULL ? image[i] : table[image[i]];
    }
}

void snn_put_image(const snn_model *model, unsigned char *arena, const uint8_t *image)
{
    const snn_values *input = model->input;
    const size_t rows = (size_t)input->height * input->width;
    if (is_plain(model)) {
        put_bytes(arena + input->offset, image, model->table.data, rows * input->channels);
        return;
    }
    for (size_t row = 0; row < rows; ++row) {
        for (uint16_t c = 0; c < input->channels; ++c) {
            snn_put_code(model, arena, row, c,
                         image[snn_user_index(input, model->image_is_chw, c, row)]);
        }
    }
}

int snn_read_output(const snn_model *model, const unsigned char *plane, int32_t *membranes)
{
    const snn_values *values = model->output->output;
    const size_t rows = (size_t)values->height * values->width;
    const size_t count = rows * values->channels;
    size_t best = 0;
    int32_t most = 0;

    for (size_t k = 0; k < count; ++k) {
        const size_t c = model->output_is_chw ? k / rows : k % values->channels;
        const size_t row = model->output_is_chw ? k % rows : k / values->channels;
        const int32_t v = snn_get(plane + row * values->row_bytes, values->type, c);
        if (membranes != NULL) {
            membranes[k] = v;
        }
        if (k == 0 || v > most) {
            most = v;
            best = k;
        }
    }
    return (int)best;
}
