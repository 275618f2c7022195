/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunked transfer coding (RFC 9112 7.1): a decoder that is fed whatever has arrived, and the
 * lines that an encoder puts around its data.
 *
 *     eddy_http_chunked chunked;
 *     eddy_slice data;
 *     eddy_http_chunked_init(&chunked, NULL);
 *     while (!chunked.done && in.len > 0) {
 *         int64_t n = eddy_http_chunked_next(&chunked, in, &data, &fault);
 *         if (n < 0) {
 *             return n;
 *         }
 *         use(data);                               a part of `in`, perhaps empty
 *         in = eddy_slice_sub(in, n, in.len);
 *     }
 *
 * It keeps no bytes: what was given to it is used up, so nothing is looked at twice and the pieces
 * may be cut anywhere. Strict: sizes are hexadecimal digits only, lines end in CRLF only, white
 * space stands only where the grammar of extensions has it. Extensions are checked, bounded and
 * ignored; trailers likewise, or left to eddy_http_head_parse.
 */
#ifndef EDDY_NET_HTTP_CHUNKED_H
#define EDDY_NET_HTTP_CHUNKED_H

#include <eddy/net/http/status.h>

EDDY_BEGIN_DECLS

typedef struct eddy_http_chunked_opts {
    size_t size;              /* sizeof(eddy_http_chunked_opts), or 0 (runtime/base/api.h) */
    uint32_t extension_bytes; /* of all in a body; 0: 16 KiB, EDDY_HTTP_NONE: refuse any */
    uint32_t trailer_bytes;   /* of the trailers; 0: 8 KiB, EDDY_HTTP_NONE: refuse any */
    bool keep_trailers;       /* be done after the last chunk: the trailers, at least an empty line,
                               * follow and are for a head of kind EDDY_HTTP_TRAILERS */
} eddy_http_chunked_opts;

#define EDDY_HTTP_NONE UINT32_MAX

typedef struct eddy_http_chunked {
    uint64_t left;           /* bytes of the present chunk's data that are still to come */
    uint64_t consumed;       /* bytes of the coding that were used up so far, data included */
    bool done;               /* the body has ended */
    bool keep_trailers;      /* the decoder's own, from here on */
    uint8_t phase;           /* what the next byte is part of */
    uint8_t digits;          /* of the size that is being read */
    uint64_t size;           /* what these digits say */
    uint32_t extension_left; /* of the limits */
    uint32_t trailer_left;
    int error;             /* 0, or what next gave and gives again */
    eddy_http_fault fault; /* with `error` */
} eddy_http_chunked;

/**
 * Make a decoder ready for one body.
 *
 * Shape:   opts NULL means defaults.
 * Owns:    the decoder is the caller's storage and needs no end. Copies opts.
 * Errors:  -EINVAL opts has what this version does not know; next says it again.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_chunked_init(eddy_http_chunked *chunked, const eddy_http_chunked_opts *opts);

/**
 * Decode from the front of `input`, up to and with the next run of data.
 *
 * Shape:   returns how many bytes were used up, and in *ret_data those of them that are the body's:
 *          at most one run, the last bytes that were used up. Empty when `input` held no data or
 *          the body has ended (chunked->done); then all of input is used up, or all that is the
 *          body's. 0 for an empty input and once done.
 * Owns:    *ret_data borrows from input.
 * Errors:  EDDY_EHTTP_BODY malformed; EDDY_EHTTP_TOO_LARGE a limit was reached. The same again
 *          afterwards. reterr's offset counts from the start of the body.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_chunked_next(eddy_http_chunked *chunked, eddy_slice input,
                                        eddy_slice *ret_data, eddy_http_fault *reterr);

/**
 * Tell the decoder that `len` bytes of data were read past it, straight to where they belong.
 *
 * Shape:   len is at most chunked->left.
 * Owns:    nothing.
 * Errors:  -EINVAL more than is left of the chunk; the decoder is as it was.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_chunked_skip(eddy_http_chunked *chunked, uint64_t len);

/* "7fffffffffffffff\r\n" */
#define EDDY_HTTP_CHUNK_LINE_MAX 18
/* What follows the data of a chunk. */
#define EDDY_HTTP_CHUNK_TAIL "\r\n"
/* What ends a body without trailers. */
#define EDDY_HTTP_CHUNK_END "0\r\n\r\n"

/**
 * The line that stands before the data of a chunk.
 *
 * Shape:   len is 1 .. INT64_MAX: a chunk of 0 bytes would end the body. Returns the line's length,
 *          at least 3; there is no NUL behind it.
 * Owns:    nothing.
 * Errors:  -EINVAL len is 0 or too large.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_chunk_line(uint64_t len, char ret_line[EDDY_HTTP_CHUNK_LINE_MAX]);

EDDY_END_DECLS

#endif
