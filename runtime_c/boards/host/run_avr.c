/* Runs an AVR program under simavr, cycle by cycle; the other side of ../avr.c.
 *
 *     run_avr MCU RAM_END PROGRAM
 *
 * Reads the file `input`, writes `output`, and to `counts` a line with the cycles between each pair
 * of marks, and two zeros, as nothing need be told beside cycles. RAM_END is the last address of RAM, where a board has more of it than its processor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>

enum { CONTROL = 0x3E, OUTPUT = 0x4A, INPUT = 0x4B }; /* data addresses of GPIOR0, 1, 2 */
enum { DONE, FAILED, USAGE, RUNNING };

static FILE *input, *output, *counts;
static avr_cycle_count_t begun;
static int state = RUNNING;

static void on_control(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *unused)
{
    (void)address, (void)unused;
    switch (value) {
    case 'B':
        begun = avr->cycle;
        break;
    case 'E':
        fprintf(counts, "%llu 0 0\n", (unsigned long long)(avr->cycle - begun));
        break;
    case 'X':
        state = DONE;
        break;
    default:
        state = FAILED;
    }
}

static void on_output(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *unused)
{
    (void)avr, (void)address, (void)unused;
    putc(value, output);
}

static uint8_t on_input(struct avr_t *avr, avr_io_addr_t address, void *unused)
{
    const int byte = getc(input);
    (void)avr, (void)address, (void)unused;
    if (byte == EOF) {
        state = FAILED;
    }
    return (uint8_t)byte;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    memset(&firmware, 0, sizeof firmware);
    if (argc != 4 || elf_read_firmware(argv[3], &firmware) != 0) {
        return USAGE;
    }
    avr_t *avr = avr_make_mcu_by_name(argv[1]);
    input = fopen("input", "rb");
    output = fopen("output", "wb");
    counts = fopen("counts", "w");
    if (avr == NULL || input == NULL || output == NULL || counts == NULL) {
        return USAGE;
    }
    avr->ramend = (uint16_t)strtoul(argv[2], NULL, 0);
    avr_init(avr);
    avr_load_firmware(avr, &firmware);
    avr_register_io_write(avr, CONTROL, on_control, NULL);
    avr_register_io_write(avr, OUTPUT, on_output, NULL);
    avr_register_io_read(avr, INPUT, on_input, NULL);
    while (state == RUNNING) {
        const int now = avr_run(avr);
        if (now == cpu_Done || now == cpu_Crashed) {
            state = FAILED;
        }
    }
    return fclose(output) != 0 || fclose(counts) != 0 ? FAILED : state;
}
