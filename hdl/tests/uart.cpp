// A simulated device whose UART leads to standard input and output. A bit takes DIVISOR cycles.
#include "Vtop.h"
#include "verilated.h"

#include <cstdint>
#include <poll.h>
#include <unistd.h>

static const unsigned BITS = 10;           // of a byte, with start and stop
static const uint64_t PATIENCE = 200000;   // cycles after which a device without input does nothing

double sc_time_stamp() { return 0; }

int main()
{
    Vtop *top = new Vtop;
    top->rx = 1;
    top->rst = 1;
    unsigned there = 0, there_left = 0;    // bits on the way to the device, cycles left of them
    unsigned back = 0, back_at = 0;        // bits that came from it, cycles since the first began
    bool comes = false;
    for (uint64_t cycle = 0, last = 0;; cycle++) {
        top->rst = cycle < 4;
        if (there_left == 0 && !comes && cycle % DIVISOR == 0) {
            struct pollfd host = {STDIN_FILENO, POLLIN, 0};
            if (poll(&host, 1, cycle - last > PATIENCE ? -1 : 0) > 0) {
                unsigned char byte;
                if (read(STDIN_FILENO, &byte, 1) != 1) {
                    return 0;
                }
                there = 1u << (BITS - 1) | (unsigned)byte << 1;
                there_left = BITS * DIVISOR;
                last = cycle;
            }
        }
        top->rx = there_left ? there >> (BITS - (there_left + DIVISOR - 1) / DIVISOR) & 1 : 1;
        there_left -= there_left > 0;
        top->clk = 0;
        top->eval();
        if (!comes && !top->tx && !top->rst) {
            comes = true;
            back = back_at = 0;
        }
        if (comes) {
            if (back_at % DIVISOR == DIVISOR / 2) {
                back |= (unsigned)top->tx << back_at / DIVISOR;
            }
            if (++back_at == BITS * DIVISOR) {
                const unsigned char byte = (unsigned char)(back >> 1);
                if (write(STDOUT_FILENO, &byte, 1) != 1) {
                    return 0;
                }
                comes = false;
                last = cycle;
            }
        }
        top->clk = 1;
        top->eval();
    }
}
