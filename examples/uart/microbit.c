/* microbit.c - the BBC micro:bit V1 (nRF51822): reset, a UART of 115,200 baud on the pins that lead to
 * the USB connector, and a timer that counts cycles of the processor. Registers are named as in the
 * nRF51 Series Reference Manual. No interrupt is used. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define CLOCK_TASKS_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x40000100u)

#define UART_TASKS_STARTRX REGISTER(0x40002000u)
#define UART_TASKS_STARTTX REGISTER(0x40002008u)
#define UART_EVENTS_RXDRDY REGISTER(0x40002108u)
#define UART_EVENTS_TXDRDY REGISTER(0x4000211Cu)
#define UART_ENABLE REGISTER(0x40002500u)
#define UART_PSELTXD REGISTER(0x4000250Cu)
#define UART_PSELRXD REGISTER(0x40002514u)
#define UART_RXD REGISTER(0x40002518u)
#define UART_TXD REGISTER(0x4000251Cu)
#define UART_BAUDRATE REGISTER(0x40002524u)

#define TIMER0_TASKS_START REGISTER(0x40008000u)
#define TIMER0_TASKS_CAPTURE_0 REGISTER(0x40008040u)
#define TIMER0_BITMODE REGISTER(0x40008508u)
#define TIMER0_PRESCALER REGISTER(0x40008510u)
#define TIMER0_CC_0 REGISTER(0x40008540u)

#define GPIO_OUTSET REGISTER(0x50000508u)
#define GPIO_DIRSET REGISTER(0x50000518u)

enum { TX_PIN = 24, RX_PIN = 25 };
enum { UART_ENABLED = 4, TIMER_32_BITS = 3 };
#define BAUD_115200 0x01D7E000u

extern uint32_t data_image[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
int main(void);
void reset(void);

void board_start(void)
{
    CLOCK_TASKS_HFCLKSTART = 1; /* the crystal: the oscillator that runs after a reset is too coarse */
    while (CLOCK_EVENTS_HFCLKSTARTED == 0) {
    }
    TIMER0_BITMODE = TIMER_32_BITS;
    TIMER0_PRESCALER = 0;
    TIMER0_TASKS_START = 1;

    GPIO_OUTSET = 1u << TX_PIN; /* the line is high when nothing is sent */
    GPIO_DIRSET = 1u << TX_PIN;
    UART_PSELTXD = TX_PIN;
    UART_PSELRXD = RX_PIN;
    UART_BAUDRATE = BAUD_115200;
    UART_ENABLE = UART_ENABLED;
    UART_TASKS_STARTRX = 1;
    UART_TASKS_STARTTX = 1;
}

uint8_t board_receive(void)
{
    while (UART_EVENTS_RXDRDY == 0) {
    }
    UART_EVENTS_RXDRDY = 0; /* before the byte is read: reading it may raise the next event */
    return (uint8_t)UART_RXD;
}

void board_send(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        UART_EVENTS_TXDRDY = 0;
        UART_TXD = bytes[i];
        while (UART_EVENTS_TXDRDY == 0) {
        }
    }
}

uint32_t board_ticks(void)
{
    TIMER0_TASKS_CAPTURE_0 = 1;
    return TIMER0_CC_0;
}

void reset(void)
{
    const volatile uint32_t *from = data_image; /* volatile: no call of memcpy or memset */
    for (volatile uint32_t *to = data_begin; to < data_end; ++to) {
        *to = *from++;
    }
    for (volatile uint32_t *to = bss_begin; to < bss_end; ++to) {
        *to = 0;
    }
    main();
}

static void fault(void)
{
    for (;;) {
    }
}

typedef void handler(void);

/* The initial stack pointer, then reset, NMI and the fault. */
static const struct {
    void *stack;
    handler *handlers[15];
} vectors __attribute__((section(".vectors"), used)) = {stack_top, {reset, fault, fault}};
