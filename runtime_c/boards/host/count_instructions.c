/* A QEMU plugin that counts the instructions between two functions.
 *
 *     qemu-system-arm ... -plugin count_instructions.so,begin=0x12,end=0x34,to=FILE
 *
 * `begin` and `end` are the addresses of board_begin and board_end. For each pair of calls a line
 * with the number of instructions is appended to FILE. Exact: a block of translated code runs to its
 * end unless it is interrupted, and between the two nothing interrupts.
 *
 * The few functions used are declared here as in QEMU's qemu-plugin.h, which Debian does not ship. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_CB_NO_REGS };

extern void qemu_plugin_register_vcpu_tb_trans_cb(
    qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *,
                                                 void (*)(unsigned, void *), int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

static uint64_t begin, end, count;
static FILE *counts;

static void on_begin(unsigned cpu, void *unused)
{
    (void)cpu, (void)unused;
    count = 0;
}

static void on_block(unsigned cpu, void *instructions)
{
    (void)cpu;
    count += (uintptr_t)instructions;
}

static void on_end(unsigned cpu, void *unused)
{
    (void)cpu, (void)unused;
    fprintf(counts, "%llu\n", (unsigned long long)count);
    fflush(counts);
}

/* A function that is called begins a block. */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const uint64_t address = qemu_plugin_tb_vaddr(block);
    const uintptr_t instructions = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(
        block, address == begin ? on_begin : address == end ? on_end : on_block,
        QEMU_PLUGIN_CB_NO_REGS, (void *)instructions);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "begin=", 6) == 0) {
            begin = strtoull(argv[i] + 6, NULL, 0);
        } else if (strncmp(argv[i], "end=", 4) == 0) {
            end = strtoull(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "to=", 3) == 0) {
            counts = fopen(argv[i] + 3, "w");
        }
    }
    if (begin == 0 || end == 0 || counts == NULL) {
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
