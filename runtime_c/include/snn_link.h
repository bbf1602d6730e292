/* snn_link.h - answers requests of a host over a byte stream: a UART, USB, or a socket.
 *
 * The protocol is that of docs/link.md in snngen; `snngen run` is its host side. Nothing here blocks,
 * allocates or knows the hardware: the program hands in each byte that it receives, and is handed the
 * bytes to send. Of what arrives, whatever it is, only well-formed requests have an effect. */
#ifndef SNN_LINK_H
#define SNN_LINK_H

#include <stdbool.h>

#include "snn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SNN_LINK_VERSION 1
#define SNN_LINK_HEADER_BYTES 12

/* What went wrong with a request; negative codes are those of snn.h. */
enum {
    SNN_LINK_DAMAGED = 1,   /* the payload does not have its checksum */
    SNN_LINK_UNKNOWN = 2,   /* no such request */
    SNN_LINK_WRONG_SIZE = 3 /* not the number of bytes that the request takes */
};

/* What a run gives beside the output membranes. */
typedef struct snn_link_result {
    int32_t winner;         /* the class, or a negative error of snn.h */
    uint32_t ticks;         /* that the run took; 0 without a clock */
    uint32_t hash;          /* of a traced run by snn_hash_step, else 0 */
} snn_link_result;

/* The network, in the words of its header, and how to run it. */
typedef struct snn_link_network {
    const char *name, *digest;           /* <PREFIX>_NAME, _DIGEST */
    uint16_t channels, height, width;    /* <PREFIX>_CHANNELS, _HEIGHT, _WIDTH */
    bool image_is_chw;                   /* <PREFIX>_IMAGE_IS_CHW */
    uint16_t timesteps;                  /* <PREFIX>_TIMESTEPS */
    uint32_t outputs;                    /* <PREFIX>_OUTPUTS */
    uint32_t ticks_per_second;           /* 0 without a clock */

    /* Runs `image`, channels * height * width bytes, into `membranes`, `outputs` of them. */
    snn_link_result (*run)(void *user, const uint8_t *image, int32_t *membranes, bool traced);
    int (*selftest)(void *user);         /* 0, or a negative error of snn.h */
    void (*send)(void *user, const uint8_t *bytes, size_t count);
} snn_link_network;

/* One link. All of it belongs to snn_link.c, once it is initialised. */
typedef struct snn_link {
    const snn_link_network *network;
    void *user;                          /* for the functions of `network` */
    uint8_t *image;
    int32_t *membranes;
    uint32_t size;                       /* of the payload that is being received */
    uint32_t missing;                    /* bytes of it and its checksum; 0 between frames */
    uint32_t crc;
    uint8_t header[SNN_LINK_HEADER_BYTES]; /* the last bytes received between frames */
} snn_link;

/* `image` has room for one image, `membranes` for the outputs; both, and `network`, outlive the link. */
void snn_link_init(snn_link *link, const snn_link_network *network, void *user, uint8_t *image,
                   int32_t *membranes);

/* Takes one byte that was received. Where it completes a request, runs and answers it. */
void snn_link_take(snn_link *link, uint8_t byte);

#ifdef __cplusplus
}
#endif

#endif
