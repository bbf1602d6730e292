/* Reset, faults and semihosting of the Cortex-M processors. */
#include <stdint.h>

#include "board.h"
#include "start.h"

#define CPACR ((volatile uint32_t *)0xE000ED88u)
#define FULL_ACCESS_TO_FPU (0xFu << 20)

extern uint32_t board_stack_top[];

void board_reset(void)
{
#if defined(__ARM_FP)
    *CPACR |= FULL_ACCESS_TO_FPU;
    __asm volatile("dsb\n\tisb");
#endif
    board_start();
}

static void fault(void)
{
    board_exit(1);
}

typedef void handler(void);

/* The initial stack pointer, then reset, NMI and the faults; no interrupt is ever enabled. */
static const struct {
    void *stack;
    handler *handlers[15];
} vectors __attribute__((section(".vectors"), used)) = {
    board_stack_top, {board_reset, fault, fault, fault, fault, fault, fault}};

long board_semihost(long operation, const void *parameters)
{
    register long r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = parameters;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
