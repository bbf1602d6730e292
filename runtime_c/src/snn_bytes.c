/* In C, and for AVR in its own instructions, as its compiler takes twice as many. Both compute the
 * same. */
#include "snn_bytes.h"

#if SNN_FLASH_IS_APART && defined(__AVR_HAVE_MUL__) && defined(__AVR_HAVE_LPMX__)

/* Where arguments come, r0 and r1 for products, r1 else 0, and who saves what is the convention of
 * avr-gcc. In loops: sums r2..r17, weights at Z, event at X until r19:r18, origin r21:r20, count r22,
 * weight r23, `first` r25:r24, slices at Y, and on the stack how many are left. */
#define SAVE                                                                                     \
    "push r2\n push r3\n push r4\n push r5\n push r6\n push r7\n push r8\n push r9\n"            \
    "push r10\n push r11\n push r12\n push r13\n push r14\n push r15\n push r16\n push r17\n"    \
    "push r28\n push r29\n"
#define RETURN                                                                                   \
    "pop r29\n pop r28\n"                                                                        \
    "pop r17\n pop r16\n pop r15\n pop r14\n pop r13\n pop r12\n pop r11\n pop r10\n"            \
    "pop r9\n pop r8\n pop r7\n pop r6\n pop r5\n pop r4\n pop r3\n pop r2\n ret\n"
#define BEGIN "push r25\n push r24\n push r18\n movw r28, r20\n movw r24, r22\n"
#define NEXT_SLICE                                                                               \
    "1: ld r26, Y+\n ld r27, Y+\n ld r18, Y+\n ld r19, Y+\n ld r20, Y+\n ld r21, Y+\n"           \
    "add r20, r24\n adc r21, r25\n"
#define NEXT_EVENT                                                                               \
    "2: ld r30, X+\n ld r31, X+\n ld r22, X+\n adiw r26, 1\n"                                    \
    "lsl r30\n rol r31\n add r30, r20\n adc r31, r21\n"
#define ADD_16(low, high)                                                                        \
    "lpm r23, Z+\n mulsu r23, r22\n add " low ", r0\n adc " high ", r1\n"
#define ADD_32(a, b, c, d) /* the product's sign is in the carry */                              \
    "lpm r23, Z+\n mulsu r23, r22\n sbc r23, r23\n"                                              \
    "add " a ", r0\n adc " b ", r1\n adc " c ", r23\n adc " d ", r23\n"
#define UNTIL_END                                                                                \
    "cp r26, r18\n cpc r27, r19\n brlo 2b\n"                                                     \
    "pop r22\n dec r22\n push r22\n brne 1b\n"                                                   \
    "pop r22\n clr r1\n pop r30\n pop r31\n"
#define ADD_TO(low, high) /* the 32 bits at Z */                                                 \
    "mov r22, " high "\n lsl r22\n sbc r22, r22\n"                                               \
    "ld r23, Z\n add r23, " low "\n st Z+, r23\n ld r23, Z\n adc r23, " high "\n st Z+, r23\n"   \
    "ld r23, Z\n adc r23, r22\n st Z+, r23\n ld r23, Z\n adc r23, r22\n st Z+, r23\n"

__attribute__((naked)) void snn_add_8(int32_t *current, size_t first, const snn_slice *slices,
                                      uint16_t rows)
{
    (void)current, (void)first, (void)slices, (void)rows;
    __asm__(SAVE BEGIN
            "clr r2\n clr r3\n movw r4, r2\n movw r6, r2\n movw r8, r2\n movw r10, r2\n"
            "movw r12, r2\n movw r14, r2\n movw r16, r2\n"
            NEXT_SLICE NEXT_EVENT
            ADD_16("r2", "r3") ADD_16("r4", "r5") ADD_16("r6", "r7") ADD_16("r8", "r9")
            ADD_16("r10", "r11") ADD_16("r12", "r13") ADD_16("r14", "r15") ADD_16("r16", "r17")
            UNTIL_END
            ADD_TO("r2", "r3") ADD_TO("r4", "r5") ADD_TO("r6", "r7") ADD_TO("r8", "r9")
            ADD_TO("r10", "r11") ADD_TO("r12", "r13") ADD_TO("r14", "r15") ADD_TO("r16", "r17")
            RETURN);
}

__attribute__((naked)) void snn_add_4(int32_t *current, size_t first, const snn_slice *slices,
                                      uint16_t rows)
{
    (void)current, (void)first, (void)slices, (void)rows;
    __asm__(SAVE BEGIN
            "pop r23\n pop r30\n pop r31\n push r31\n push r30\n push r23\n"
            "ld r2, Z+\n ld r3, Z+\n ld r4, Z+\n ld r5, Z+\n ld r6, Z+\n ld r7, Z+\n ld r8, Z+\n"
            "ld r9, Z+\n ld r10, Z+\n ld r11, Z+\n ld r12, Z+\n ld r13, Z+\n ld r14, Z+\n"
            "ld r15, Z+\n ld r16, Z+\n ld r17, Z+\n"
            NEXT_SLICE NEXT_EVENT
            ADD_32("r2", "r3", "r4", "r5") ADD_32("r6", "r7", "r8", "r9")
            ADD_32("r10", "r11", "r12", "r13") ADD_32("r14", "r15", "r16", "r17")
            UNTIL_END
            "st Z+, r2\n st Z+, r3\n st Z+, r4\n st Z+, r5\n st Z+, r6\n st Z+, r7\n st Z+, r8\n"
            "st Z+, r9\n st Z+, r10\n st Z+, r11\n st Z+, r12\n st Z+, r13\n st Z+, r14\n"
            "st Z+, r15\n st Z+, r16\n st Z+, r17\n"
            RETURN);
}

#else

static inline const SNN_FLASH int8_t *weights_of(const snn_event *event, uintptr_t origin)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a pointer could not begin outside of the weights */
    return (const SNN_FLASH int8_t *)(origin + 2 * (size_t)event->word);
}

void snn_add_8(int32_t *current, size_t first, const snn_slice *slices, uint16_t rows)
{
    int32_t a0 = current[0], a1 = current[1], a2 = current[2], a3 = current[3];
    int32_t a4 = current[4], a5 = current[5], a6 = current[6], a7 = current[7];
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        for (const snn_event *e = slices[k].begin; e < slices[k].end; ++e) {
            const SNN_FLASH int8_t *const w = weights_of(e, origin);
            a0 += w[0] * e->count;
            a1 += w[1] * e->count;
            a2 += w[2] * e->count;
            a3 += w[3] * e->count;
            a4 += w[4] * e->count;
            a5 += w[5] * e->count;
            a6 += w[6] * e->count;
            a7 += w[7] * e->count;
        }
    }
    current[0] = a0, current[1] = a1, current[2] = a2, current[3] = a3;
    current[4] = a4, current[5] = a5, current[6] = a6, current[7] = a7;
}

void snn_add_4(int32_t *current, size_t first, const snn_slice *slices, uint16_t rows)
{
    int32_t a0 = current[0], a1 = current[1], a2 = current[2], a3 = current[3];
    for (uint16_t k = 0; k < rows; ++k) {
        const uintptr_t origin = slices[k].origin + first;
        for (const snn_event *e = slices[k].begin; e < slices[k].end; ++e) {
            const SNN_FLASH int8_t *const w = weights_of(e, origin);
            a0 += w[0] * e->count;
            a1 += w[1] * e->count;
            a2 += w[2] * e->count;
            a3 += w[3] * e->count;
        }
    }
    current[0] = a0, current[1] = a1, current[2] = a2, current[3] = a3;
}

#endif
