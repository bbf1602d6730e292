#include "model.h"

int selftest(void);

int selftest(void)
{
    static model_arena arena;
    return model_selftest(&arena, sizeof arena);
}
