/* Reset, traps and semihosting of RISC-V in machine mode, one core. */
#include "board.h"
#include "start.h"

void board_trap(void);

void board_trap(void)
{
    board_exit(1);
}

/* First in memory: the emulator begins at the start of the flash. */
__asm(".section .vectors, \"ax\"\n"
      ".globl board_reset\n"
      "board_reset:\n"
      ".option push\n"
      ".option norelax\n"
      "    la gp, __global_pointer$\n"
      "    la sp, board_stack_top\n"
      "    la t0, board_trap_entry\n"
      ".option arch, +zicsr\n"
      "    csrw mtvec, t0\n"
      ".option pop\n"
      "    j board_start\n"
      ".balign 4\n" /* as mtvec demands */
      "board_trap_entry:\n"
      "    j board_trap\n"
      ".text\n");

long board_semihost(long operation, const void *parameters)
{
    register long a0 __asm("a0") = operation;
    register const void *a1 __asm("a1") = parameters;
    /* The three instructions must be uncompressed, and lie in one page. */
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   ".balign 16\n"
                   "    slli zero, zero, 0x1F\n"
                   "    ebreak\n"
                   "    srai zero, zero, 7\n"
                   ".option pop\n"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
}
