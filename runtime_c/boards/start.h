/* start.h - between the parts of a board's support. */
#ifndef BOARD_START_H
#define BOARD_START_H

/* Called by the reset code with a valid stack. Does not return. */
void board_start(void);

/* A semihosting call, as the processor makes it: `operation` of Arm's specification, and its block
 * of parameters. */
long board_semihost(long operation, const void *parameters);

#endif
