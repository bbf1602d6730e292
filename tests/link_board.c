/* A board for examples/uart/main.c that is a process: its UART is standard input and output. */
#include <stdlib.h>
#include <unistd.h>

#include "board.h"

void board_start(void)
{
}

uint8_t board_receive(void)
{
    uint8_t byte;
    if (read(0, &byte, 1) != 1) {
        exit(0);
    }
    return byte;
}

void board_send(const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t written = write(1, bytes, count);
        if (written < 0) {
            exit(0);
        }
        bytes += written;
        count -= (size_t)written;
    }
}

uint32_t board_ticks(void)
{
    static uint32_t ticks;
    return ticks += 16000; /* a millisecond from one look to the next */
}
