/* snn_ends.h - where a run begins and ends: the caller's arena, the input, the answer. */
#ifndef SNN_ENDS_H
#define SNN_ENDS_H

#include "snn_row.h"

#define SNN_CODES_PER_CHANNEL 256

/* Whether a pointer is a multiple of `alignment`. */
static inline bool snn_is_aligned(const void *pointer, size_t alignment)
{
    return (uintptr_t)pointer % alignment == 0;
}

/* 0, or why the network cannot run in the arena, or cannot hand out membranes, unless NULL. */
int snn_check_arena(const snn_model *model, const void *arena, size_t arena_bytes,
                    const int32_t *membranes);

/* Looks up all bytes of `image`, and stores what they stand for as the input. */
void snn_put_image(const snn_model *model, unsigned char *arena, const uint8_t *image);

/* The index of the largest of the output membranes on `plane`, the lowest where several are equal;
 * all of them into `membranes`, unless that is NULL. */
int snn_read_output(const snn_model *model, const unsigned char *plane, int32_t *membranes);

/* The index of (channel c, position i) in an array of the user's. */
static inline size_t snn_user_index(const snn_values *values, bool is_chw, uint16_t c, size_t i)
{
    const size_t positions = (size_t)values->height * values->width;
    return is_chw ? c * positions + i : i * values->channels + c;
}

/* Stores the value of channel `c` in row `row` of the input, which is never SNN_BITS. */
static inline void snn_put_input(const snn_model *model, unsigned char *arena, size_t row,
                                 uint16_t c, int32_t value)
{
    const snn_values *input = model->input;
    unsigned char *to = arena + input->offset + row * input->row_bytes;
    const size_t element_bytes = input->type == SNN_I16 ? 2 : 1;
    snn_put_row(to + c * element_bytes, input->type, 1, &value);
}

/* The same for the value that byte `code` stands for. */
static inline void snn_put_code(const snn_model *model, unsigned char *arena, size_t row,
                                uint16_t c, uint8_t code)
{
    const size_t first = model->channels_differ ? (size_t)c * SNN_CODES_PER_CHANNEL : 0;
    const bool is_itself = model->table.data == NULL;
    snn_put_input(model, arena, row, c, is_itself ? code : snn_at(&model->table, first + code));
}

#endif
