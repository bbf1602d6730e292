/* The link with a network of six inputs and two outputs: their sum, and its negative. */
#include <string.h>

#include "check.h"
#include "snn_link.h"

#define IMAGE_BYTES 6
#define LONGEST_REQUEST (SNN_LINK_HEADER_BYTES + IMAGE_BYTES + 4)
#define ROOM 256

static uint8_t sent[ROOM];
static size_t sent_bytes;
static int runs;

static snn_link_result run(void *user, const uint8_t *image, int32_t *membranes, bool traced)
{
    snn_link_result result = {.ticks = 1000, .hash = traced ? 0xC0FFEEu : 0};
    (void)user;
    membranes[0] = 0;
    for (size_t i = 0; i < IMAGE_BYTES; ++i) {
        membranes[0] += image[i];
    }
    membranes[1] = -membranes[0];
    result.winner = image[0] == 255 ? SNN_ARENA_TOO_SMALL : 0;
    runs += 1;
    return result;
}

static int selftest(void *user)
{
    (void)user;
    return SNN_SELFTEST_FAILED;
}

static void send(void *user, const uint8_t *bytes, size_t count)
{
    (void)user;
    if (count > sizeof sent - sent_bytes) {
        fprintf(stderr, "an answer of more than %d bytes\n", ROOM);
        exit(1);
    }
    memcpy(sent + sent_bytes, bytes, count);
    sent_bytes += count;
}

static const snn_link_network network = {
    .name = "six",
    .digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    .channels = 1, .height = 2, .width = 3, .image_is_chw = true,
    .timesteps = 4, .outputs = 2, .ticks_per_second = 16000000,
    .run = run, .selftest = selftest, .send = send,
};

/* Exactly as large as needed, so that a sanitizer sees what goes beyond. */
static snn_link *new_link(void)
{
    snn_link *link = malloc(sizeof *link);
    uint8_t *image = malloc(IMAGE_BYTES);
    int32_t *membranes = malloc(2 * sizeof *membranes);
    if (link == NULL || image == NULL || membranes == NULL) {
        exit(1);
    }
    snn_link_init(link, &network, NULL, image, membranes);
    sent_bytes = 0;
    return link;
}

static void free_link(snn_link *link)
{
    free(link->image);
    free(link->membranes);
    free(link);
}

static void take(snn_link *link, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        snn_link_take(link, bytes[i]);
    }
}

static void check_sent(const char *what, const uint8_t *expected, size_t count)
{
    if (sent_bytes != count || memcmp(sent, expected, count) != 0) {
        fprintf(stderr, "%s: sent", what);
        for (size_t i = 0; i < sent_bytes; ++i) {
            fprintf(stderr, " %02X", sent[i]);
        }
        fprintf(stderr, "\n");
        exit(1);
    }
    sent_bytes = 0;
}

/* Frames as docs/link.md shows them, with checksums that another program has computed. */
static const uint8_t identify[] = {0xA5, 0x5A, 'I', 1, 0, 0, 0, 0, 0x6C, 0xF2, 0x1D, 0x15,
                                   0, 0, 0, 0};
static const uint8_t run_request[] = {0xA5, 0x5A, 'R', 2, 6, 0, 0, 0, 0x38, 0x25, 0xC7, 0x1E,
                                      10, 20, 30, 40, 50, 60, 0x85, 0xAC, 0xBE, 0xC1};
static const uint8_t damaged[] = {
    0xA5, 0x5A, 0x65, 0x02, 0x04, 0x00, 0x00, 0x00, 0xA6, 0xDA, 0xB1, 0xAD, 0x01, 0x00, 0x00, 0x00,
    0x79, 0xB8, 0xF8, 0x99,
};
static const uint8_t run_answer[] = {
    0xA5, 0x5A, 0x72, 0x02, 0x14, 0x00, 0x00, 0x00, 0x1A, 0xBF, 0x7B, 0xE3, 0x00, 0x00, 0x00, 0x00,
    0xE8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xD2, 0x00, 0x00, 0x00, 0x2E, 0xFF, 0xFF, 0xFF,
    0xB6, 0x81, 0x6C, 0x0C,
};
static const uint8_t failed_selftest[] = {
    0xA5, 0x5A, 0x73, 0x03, 0x04, 0x00, 0x00, 0x00, 0x90, 0x12, 0x5E, 0x45, 0xFB, 0xFF, 0xFF, 0xFF,
    0xA8, 0x68, 0x9D, 0x70,
};
static const uint8_t selftest_request[] = {
    0xA5, 0x5A, 0x53, 0x03, 0x00, 0x00, 0x00, 0x00, 0xF1, 0x80, 0x90, 0xCD, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t failed_run[] = {
    0xA5, 0x5A, 0x65, 0x04, 0x04, 0x00, 0x00, 0x00, 0x06, 0x2F, 0xF1, 0x22, 0xFE, 0xFF, 0xFF, 0xFF,
    0x9A, 0x98, 0x43, 0x47,
};
static const uint8_t failing_run_request[] = {
    0xA5, 0x5A, 0x52, 0x04, 0x06, 0x00, 0x00, 0x00, 0x98, 0xD0, 0x87, 0x91, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFF, 0xFF, 0x00, 0xED, 0xD9, 0x41,
};
static const uint8_t unknown[] = {
    0xA5, 0x5A, 0x65, 0x07, 0x04, 0x00, 0x00, 0x00, 0xD6, 0x55, 0x51, 0x65, 0x02, 0x00, 0x00, 0x00,
    0x97, 0x17, 0x4D, 0x8B,
};
static const uint8_t unknown_request[] = {
    0xA5, 0x5A, 0x58, 0x07, 0x03, 0x00, 0x00, 0x00, 0x1C, 0x79, 0x62, 0x40, 0x61, 0x62, 0x63, 0xC2,
    0x41, 0x24, 0x35,
};
static const uint8_t wrong_size[] = {
    0xA5, 0x5A, 0x65, 0x08, 0x04, 0x00, 0x00, 0x00, 0x07, 0xC2, 0x01, 0xE7, 0x03, 0x00, 0x00, 0x00,
    0xF2, 0x70, 0xF1, 0x33,
};
static const uint8_t wrong_size_request[] = {
    0xA5, 0x5A, 0x52, 0x08, 0x05, 0x00, 0x00, 0x00, 0x77, 0x92, 0xC2, 0x46, 0x0A, 0x14, 0x1E, 0x28,
    0x32, 0x24, 0x5E, 0xDB, 0xD0,
};
static const uint8_t trace_answer[] = {
    0xA5, 0x5A, 0x74, 0x05, 0x14, 0x00, 0x00, 0x00, 0x17, 0x80, 0x02, 0x87, 0x00, 0x00, 0x00, 0x00,
    0xE8, 0x03, 0x00, 0x00, 0xEE, 0xFF, 0xC0, 0x00, 0xD2, 0x00, 0x00, 0x00, 0x2E, 0xFF, 0xFF, 0xFF,
    0x4B, 0xCC, 0x4C, 0xCF,
};
static const uint8_t trace_request[] = {
    0xA5, 0x5A, 0x54, 0x05, 0x06, 0x00, 0x00, 0x00, 0x35, 0x1A, 0xBE, 0x7A, 0x0A, 0x14, 0x1E, 0x28,
    0x32, 0x3C, 0x85, 0xAC, 0xBE, 0xC1,
};
static const uint8_t identity[] = {
    0xA5, 0x5A, 0x69, 0x01, 0x57, 0x00, 0x00, 0x00, 0x41, 0xC0, 0x6B, 0x44, 0x01, 0x00, 0x01, 0x00,
    0x02, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x24, 0xF4, 0x00,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
    0x73, 0x69, 0x78, 0x27, 0x08, 0x37, 0x28,
};

static void test_answers(void)
{
    snn_link *link = new_link();
    take(link, identify, sizeof identify);
    check_sent("identify", identity, sizeof identity);
    take(link, run_request, sizeof run_request);
    check_sent("run", run_answer, sizeof run_answer);
    take(link, trace_request, sizeof trace_request);
    check_sent("trace", trace_answer, sizeof trace_answer);
    take(link, selftest_request, sizeof selftest_request);
    check_sent("selftest", failed_selftest, sizeof failed_selftest);
    free_link(link);
}

static void test_refusals(void)
{
    snn_link *link = new_link();
    take(link, failing_run_request, sizeof failing_run_request);
    check_sent("a run that fails", failed_run, sizeof failed_run);
    take(link, unknown_request, sizeof unknown_request);
    check_sent("an unknown request", unknown, sizeof unknown);
    take(link, wrong_size_request, sizeof wrong_size_request);
    check_sent("an image of another size", wrong_size, sizeof wrong_size);
    take(link, run_request, sizeof run_request);
    check_sent("what follows a refusal", run_answer, sizeof run_answer);
    free_link(link);
}

/* Every single byte changed in every way: a request is answered as it should be, or not run. */
static void test_damage(void)
{
    for (size_t at = 0; at < sizeof run_request; ++at) {
        for (unsigned change = 1; change < 256; ++change) {
            snn_link *link = new_link();
            uint8_t request[sizeof run_request];
            memcpy(request, run_request, sizeof request);
            request[at] ^= (uint8_t)change;
            runs = 0;
            take(link, request, sizeof request);
            CHECK_ROW(&runs, 0);
            if (at < SNN_LINK_HEADER_BYTES) {
                check_sent("damage in the header", request, 0);
            } else {
                check_sent("damage in the payload", damaged, sizeof damaged);
            }
            take(link, run_request, sizeof run_request);
            check_sent("what follows damage", run_answer, sizeof run_answer);
            free_link(link);
        }
    }
}

/* A request cut short at every place ends with as many zeros as the longest one has bytes. */
static void test_cut(void)
{
    static const uint8_t zeros[LONGEST_REQUEST] = {0};
    for (size_t length = 0; length < sizeof run_request; ++length) {
        snn_link *link = new_link();
        take(link, run_request, length);
        take(link, zeros, sizeof zeros);
        sent_bytes = 0;
        take(link, run_request, sizeof run_request);
        check_sent("what follows a cut request", run_answer, sizeof run_answer);
        free_link(link);
    }
}

/* The beginning of a request before a whole one: nothing of it is lost. */
static void test_begun_twice(void)
{
    for (size_t length = 0; length < SNN_LINK_HEADER_BYTES; ++length) {
        snn_link *link = new_link();
        take(link, run_request, length);
        take(link, run_request, sizeof run_request);
        check_sent("a request begun twice", run_answer, sizeof run_answer);
        free_link(link);
    }
}

/* Noise, with requests and pieces of them in it, then silence, then a request. */
static void test_noise(void)
{
    static const struct {
        const uint8_t *bytes;
        size_t count;
    } pieces[] = {
        {identify, sizeof identify},
        {run_request, sizeof run_request},
        {unknown_request, sizeof unknown_request},
        {wrong_size_request, sizeof wrong_size_request},
        {run_answer, sizeof run_answer},
    };
    static const uint8_t zeros[LONGEST_REQUEST] = {0};
    uint32_t state = 1;
    snn_link *link = new_link();
    for (unsigned round = 0; round < 20000; ++round) {
        state = state * 1664525u + 1013904223u;
        const size_t which = (state >> 8) % (sizeof pieces / sizeof pieces[0]);
        size_t length = (state >> 16) % (pieces[which].count + 1);
        take(link, pieces[which].bytes, length);
        for (length = state >> 29; length > 0; --length) {
            state = state * 1664525u + 1013904223u;
            snn_link_take(link, (uint8_t)(state >> 24));
        }
        sent_bytes = 0;
        if (round % 16 == 0) {
            take(link, zeros, sizeof zeros);
            sent_bytes = 0;
            take(link, identify, sizeof identify);
            check_sent("what follows noise", identity, sizeof identity);
        }
    }
    free_link(link);
}

int main(void)
{
    test_answers();
    test_refusals();
    test_damage();
    test_cut();
    test_begun_twice();
    test_noise();
    return 0;
}
