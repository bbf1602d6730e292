/* A QEMU plugin that counts what happens between two functions: instructions, accesses to memory (of
 * each register that is loaded or stored), and jumps, after which the next instruction is another.
 *
 *     qemu-system-arm ... -plugin count_instructions.so,begin=0x12,end=0x34,to=FILE
 *
 * `begin` and `end` are the addresses of board_begin and board_end. For each pair of calls a line
 * with the three numbers is appended to FILE. Exact: a block of translated code runs to its
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
enum { QEMU_PLUGIN_MEM_RW = 3 };
enum { QEMU_PLUGIN_INLINE_ADD_U64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(
    qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *,
                                                 void (*)(unsigned, void *), int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn *, int, int, void *,
                                                 uint64_t);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

/* Instructions that run one after the other, up to the address `end`. */
typedef struct {
    uint64_t address, end, instructions;
} block;

static uint64_t begin, end, count, jumps, accesses, accesses_before, next;
static FILE *counts;

static void on_begin(unsigned cpu, void *here)
{
    (void)cpu;
    next = ((const block *)here)->end;
    count = jumps = 0;
    accesses_before = accesses;
}

static void on_block(unsigned cpu, void *here)
{
    const block *at = here;
    (void)cpu;
    count += at->instructions;
    jumps += at->address != next;
    next = at->end;
}

static void on_end(unsigned cpu, void *unused)
{
    (void)cpu, (void)unused;
    fprintf(counts, "%llu %llu %llu\n", (unsigned long long)count,
            (unsigned long long)(accesses - accesses_before), (unsigned long long)jumps);
    fflush(counts);
}

/* A function that is called begins a block. */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *translated)
{
    const size_t instructions = qemu_plugin_tb_n_insns(translated);
    block *made = malloc(sizeof *made);
    if (made == NULL) {
        abort();
    }
    (void)id;
    made->address = made->end = qemu_plugin_tb_vaddr(translated);
    made->instructions = instructions;
    for (size_t i = 0; i < instructions; ++i) {
        struct qemu_plugin_insn *each = qemu_plugin_tb_get_insn(translated, i);
        made->end = qemu_plugin_insn_vaddr(each) + qemu_plugin_insn_size(each);
        qemu_plugin_register_vcpu_mem_inline(each, QEMU_PLUGIN_MEM_RW, QEMU_PLUGIN_INLINE_ADD_U64,
                                             &accesses, 1);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(
        translated, made->address == begin ? on_begin : made->address == end ? on_end : on_block,
        QEMU_PLUGIN_CB_NO_REGS, made);
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
