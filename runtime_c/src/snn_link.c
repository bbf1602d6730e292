#include "snn_link.h"

#include <string.h>

enum { SYNC_0 = 0xA5, SYNC_1 = 0x5A };
enum { IDENTIFY = 'I', RUN = 'R', TRACE = 'T', SELFTEST = 'S', ERROR = 'e' };

/* Where things lie in a header, and its size without the checksum. */
enum { KIND = 2, TAG = 3, SIZE = 4, CHECKED = 8 };

#define ANSWER 0x20u /* added to the request that it answers: the letter in lower case */
#define CRC_BYTES 4u
#define DIGEST_BYTES 64u
#define LONGEST_NAME 255u
#define IDENTITY_BYTES 20u /* before digest and name */
#define RESULT_BYTES 12u   /* before the membranes */

/* CRC-32 of IEEE 802.3, reflected: of `crc` and what follows. Of bytes and their own checksum, lowest
 * byte first, it is RESIDUE. */
#define POLYNOMIAL UINT32_C(0xEDB88320)
#define RESIDUE UINT32_C(0x2144DF1C)

static uint32_t add_to_crc(uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? POLYNOMIAL : 0);
        }
    }
    return ~crc;
}

static void put_16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)(value & 0xFFu);
    to[1] = (uint8_t)(value >> 8);
}

static void put_32(uint8_t *to, uint32_t value)
{
    put_16(to, (uint16_t)(value & 0xFFFFu));
    put_16(to + 2, (uint16_t)(value >> 16));
}

static uint32_t get_32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t image_bytes(const snn_link_network *network)
{
    return (uint32_t)network->channels * network->height * network->width;
}

/* --- Answers: a header, the payload in parts, its checksum -------------------------------------- */

static void begin(snn_link *link, uint8_t kind, uint32_t size)
{
    uint8_t header[SNN_LINK_HEADER_BYTES];
    header[0] = SYNC_0;
    header[1] = SYNC_1;
    header[KIND] = kind;
    header[TAG] = link->header[TAG];
    put_32(header + SIZE, size);
    put_32(header + CHECKED, add_to_crc(0, header, CHECKED));
    link->network->send(link->user, header, sizeof header);
    link->crc = 0;
}

static void add(snn_link *link, const uint8_t *bytes, size_t count)
{
    link->crc = add_to_crc(link->crc, bytes, count);
    link->network->send(link->user, bytes, count);
}

static void add_32(snn_link *link, uint32_t value)
{
    uint8_t bytes[4];
    put_32(bytes, value);
    add(link, bytes, sizeof bytes);
}

static void end(snn_link *link)
{
    uint8_t crc[CRC_BYTES];
    put_32(crc, link->crc);
    link->network->send(link->user, crc, sizeof crc);
}

static void refuse(snn_link *link, int32_t code)
{
    begin(link, ERROR, sizeof code);
    add_32(link, (uint32_t)code);
    end(link);
}

/* --- Requests ----------------------------------------------------------------------------------- */

static void identify(snn_link *link)
{
    const snn_link_network *network = link->network;
    size_t name_bytes = 0;
    uint8_t fixed[IDENTITY_BYTES];
    while (name_bytes < LONGEST_NAME && network->name[name_bytes] != '\0') {
        ++name_bytes;
    }
    fixed[0] = SNN_LINK_VERSION;
    fixed[1] = network->image_is_chw ? 0 : 1;
    put_16(fixed + 2, network->channels);
    put_16(fixed + 4, network->height);
    put_16(fixed + 6, network->width);
    put_16(fixed + 8, network->timesteps);
    put_16(fixed + 10, 0);
    put_32(fixed + 12, network->outputs);
    put_32(fixed + 16, network->ticks_per_second);
    begin(link, IDENTIFY | ANSWER, (uint32_t)(IDENTITY_BYTES + DIGEST_BYTES + name_bytes));
    add(link, fixed, sizeof fixed);
    add(link, (const uint8_t *)network->digest, DIGEST_BYTES);
    add(link, (const uint8_t *)network->name, name_bytes);
    end(link);
}

static void run(snn_link *link, bool traced)
{
    const snn_link_network *network = link->network;
    const snn_link_result result = network->run(link->user, link->image, link->membranes, traced);
    if (result.winner < 0) {
        refuse(link, result.winner);
        return;
    }
    begin(link, link->header[KIND] | ANSWER, RESULT_BYTES + 4 * network->outputs);
    add_32(link, (uint32_t)result.winner);
    add_32(link, result.ticks);
    add_32(link, result.hash);
    for (uint32_t k = 0; k < network->outputs; ++k) {
        add_32(link, (uint32_t)link->membranes[k]);
    }
    end(link);
}

static void answer(snn_link *link)
{
    if (link->crc != RESIDUE) {
        refuse(link, SNN_LINK_DAMAGED);
        return;
    }
    switch (link->header[KIND]) {
    case IDENTIFY:
        identify(link);
        break;
    case SELFTEST:
        begin(link, SELFTEST | ANSWER, sizeof(int32_t));
        add_32(link, (uint32_t)(int32_t)link->network->selftest(link->user));
        end(link);
        break;
    default:
        run(link, link->header[KIND] == TRACE);
        break;
    }
}

/* Begins to receive a payload, or refuses it: then it is passed over as what lies between frames. */
static void open(snn_link *link)
{
    const uint8_t kind = link->header[KIND];
    const bool has_image = kind == RUN || kind == TRACE;
    link->size = get_32(link->header + SIZE);
    if (!has_image && kind != IDENTIFY && kind != SELFTEST) {
        refuse(link, SNN_LINK_UNKNOWN);
    } else if (link->size != (has_image ? image_bytes(link->network) : 0)) {
        refuse(link, SNN_LINK_WRONG_SIZE);
    } else {
        link->missing = link->size + CRC_BYTES;
        link->crc = 0;
    }
}

void snn_link_init(snn_link *link, const snn_link_network *network, void *user, uint8_t *image,
                   int32_t *membranes)
{
    const snn_link fresh = {
        .network = network, .user = user, .image = image, .membranes = membranes};
    *link = fresh;
}

void snn_link_take(snn_link *link, uint8_t byte)
{
    if (link->missing > 0) {
        const uint32_t position = link->size + CRC_BYTES - link->missing;
        if (position < link->size) {
            link->image[position] = byte;
        }
        link->crc = add_to_crc(link->crc, &byte, 1);
        link->missing -= 1;
        if (link->missing == 0) {
            answer(link);
            (void)memset(link->header, 0, sizeof link->header);
        }
        return;
    }
    /* A frame begins wherever the last bytes are a header, whatever came before. */
    (void)memmove(link->header, link->header + 1, sizeof link->header - 1);
    link->header[sizeof link->header - 1] = byte;
    if (link->header[0] == SYNC_0 && link->header[1] == SYNC_1
        && add_to_crc(0, link->header, sizeof link->header) == RESIDUE) {
        open(link);
    }
}
