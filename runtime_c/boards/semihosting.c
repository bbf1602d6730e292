/* The channel of boards whose emulator knows semihosting: the files `input` and `output` in the
 * folder that it runs in. Operations as in Arm's "Semihosting for AArch32 and AArch64". */
#include "board.h"
#include "start.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };
enum { READ_BINARY = 1, WRITE_BINARY = 5 };

#define APPLICATION_EXIT ((const void *)0x20026)
#define RUN_TIME_ERROR ((const void *)0x20023)

static long input, output; /* handles; 0 before the file is open, which no file's handle is */

static long open_file(const char *name, size_t length, long mode)
{
    const struct {
        const char *name;
        long mode;
        size_t length;
    } parameters = {name, mode, length};
    const long handle = board_semihost(SYS_OPEN, &parameters);
    if (handle <= 0) {
        board_exit(1);
    }
    return handle;
}

/* How many of the bytes were not transferred. */
static long transfer(long operation, long handle, const void *data, size_t bytes)
{
    const struct {
        long handle;
        const void *data;
        size_t bytes;
    } parameters = {handle, data, bytes};
    return board_semihost(operation, &parameters);
}

void board_read(void *to, size_t bytes)
{
    if (input == 0) {
        input = open_file("input", 5, READ_BINARY);
    }
    if (transfer(SYS_READ, input, to, bytes) != 0) {
        board_exit(1);
    }
}

void board_write(const void *from, size_t bytes)
{
    if (output == 0) {
        output = open_file("output", 6, WRITE_BINARY);
    }
    if (transfer(SYS_WRITE, output, from, bytes) != 0) {
        board_exit(1);
    }
}

void board_exit(int status)
{
    for (;;) {
        board_semihost(SYS_EXIT, status == 0 ? APPLICATION_EXIT : RUN_TIME_ERROR);
    }
}
