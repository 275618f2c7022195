/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1 message: the first line and the header fields, up to and with the empty
 * line. One strict parser (RFC 9112) for requests, responses and the trailers of a chunked body. It
 * copies nothing and allocates nothing; slices point into the bytes that it was given.
 *
 *     eddy_http_head head;
 *     eddy_http_fault fault;
 *     eddy_http_head_init(&head, EDDY_HTTP_REQUEST, NULL);
 *     int64_t n;
 *     while ((n = eddy_http_head_parse(&head, eddy_buffer_slice(&in), &fault)) == -EAGAIN) {
 *         ...                                      read more behind what is in the buffer
 *     }
 *     if (n < 0) {
 *         ...                                      answer fault.status and close
 *     }
 *     eddy_buffer_consume(&in, n);                 only when the head is no longer looked at
 *
 * The bytes may come in any pieces: the answer is that of the whole, an error comes with the first
 * byte that cannot be, and each byte is looked at once. Between calls the bytes may move, because
 * what the head keeps until it is complete are offsets.
 *
 *     init --> parse: -EAGAIN --> parse ... --> the head's length --> (the same again)
 *                                           \-> an error          --> (the same again)
 *
 * What it refuses, all of it to leave no room for two readings of one message: bare CR, bare LF and
 * NUL anywhere; other line ends than CRLF (RFC 9112 2.2 would let a recipient take a bare LF, and
 * request smuggling lives on that); white space before the first line, before a colon or at the
 * start of a line (obs-fold); more than one space in the first line; versions other than HTTP/1.0
 * and HTTP/1.1; targets that are not of a form that the method has; in requests, a Host that is
 * missing (1.1), repeated or malformed. One empty line before a request is skipped. Three digits of
 * a status may be followed by the line's end without the space that should stand there, because
 * many servers forget it and nothing can be read two ways.
 */
#ifndef EDDY_NET_HTTP_HEAD_H
#define EDDY_NET_HTTP_HEAD_H

#include <eddy/net/http/header.h>
#include <eddy/net/http/status.h>

EDDY_BEGIN_DECLS

#define EDDY_HTTP_FIELDS_MAX 100 /* as Python's http.client and Apache; 16 bytes each in a head */

enum eddy_http_kind {
    EDDY_HTTP_REQUEST,
    EDDY_HTTP_RESPONSE,
    EDDY_HTTP_TRAILERS, /* fields and the empty line: see eddy_http_chunked_opts.keep_trailers */
};

enum eddy_http_method {
    EDDY_HTTP_OTHER, /* a token that is none of these: see eddy_http_head.method_name */
    EDDY_HTTP_GET,
    EDDY_HTTP_HEAD,
    EDDY_HTTP_POST,
    EDDY_HTTP_PUT,
    EDDY_HTTP_DELETE,
    EDDY_HTTP_CONNECT,
    EDDY_HTTP_OPTIONS,
    EDDY_HTTP_TRACE,
    EDDY_HTTP_PATCH,
};

/* The forms of a request's target, RFC 9112 3.2. */
enum eddy_http_form {
    EDDY_HTTP_ORIGIN,    /* /path?query */
    EDDY_HTTP_ABSOLUTE,  /* http://host/path?query */
    EDDY_HTTP_AUTHORITY, /* host:port, with CONNECT only */
    EDDY_HTTP_ASTERISK,  /* *, with OPTIONS only */
};

typedef struct eddy_http_limits {
    size_t size;           /* sizeof(eddy_http_limits), or 0 (runtime/base/api.h) */
    uint32_t head_bytes;   /* the whole head; 0: 32 KiB. More than 1 GiB counts as 1 GiB */
    uint32_t target_bytes; /* a request's target; 0: 8 KiB */
    uint32_t fields;       /* 0: EDDY_HTTP_FIELDS_MAX, which is also the most */
} eddy_http_limits;

/* One field, as offsets into eddy_http_head.data; read it through eddy_http_head_field. */
typedef struct eddy_http_span {
    uint32_t name_at;
    uint32_t name_len;
    uint32_t value_at;
    uint32_t value_len;
} eddy_http_span;

/*
 * A head, in the caller's storage: about 1.8 KiB. Only the parser writes to it. What stands above
 * the line is valid once the head is complete.
 */
typedef struct eddy_http_head {
    const char *data;             /* the first byte of the head; see eddy_http_head_move */
    uint32_t len;                 /* bytes of the head, its empty line included */
    uint32_t field_count;         /* fields that eddy_http_head_field gives */
    enum eddy_http_kind kind;     /* as init was told */
    int version;                  /* 10 or 11; trailers: 11 */
    enum eddy_http_method method; /* request */
    enum eddy_http_form form;     /* request: of the target */
    int status;                   /* response: 100..999 */
    eddy_slice method_name;       /* request */
    eddy_slice target;            /* request: as it was sent, see net/http/target.h */
    eddy_slice host;              /* request: "host" or "host:port", the target's where it has one,
                                   * else Host's; empty where Host is not there or empty */
    eddy_slice reason;            /* response: may be empty */
    /* ------------------------------------------------------------------------------------------ */
    int phase;         /* what the byte at `at` is part of */
    uint32_t at;       /* offset of the next byte to look at */
    uint32_t mark;     /* offset of the first byte of what is being read */
    uint32_t head_max; /* the limits */
    uint32_t target_max;
    uint32_t field_max;
    uint64_t name_bits;  /* one for each name: most searches end here */
    eddy_http_span line; /* method and target; response: nothing and reason */
    uint32_t host_at;
    uint32_t host_len;
    int error;             /* 0, or what parse gave and gives again */
    eddy_http_fault fault; /* with `error` */
    eddy_http_span spans[EDDY_HTTP_FIELDS_MAX];
} eddy_http_head;

/**
 * Make a head ready to parse one message's head.
 *
 * Shape:   limits NULL means defaults. Costs nothing worth counting: the fields are not cleared.
 * Owns:    the head is the caller's storage and needs no end. Copies limits.
 * Errors:  -EINVAL limits has what this version does not know; parse says it again.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int eddy_http_head_init(eddy_http_head *head, enum eddy_http_kind kind,
                                 const eddy_http_limits *limits);

/**
 * Parse what there is of a head.
 *
 * Shape:   input is all of the message so far, from its first byte: what was given before, perhaps
 *          at another address, and what came since. Returns the length of the head; the body, or
 *          the next message, begins there. Bytes behind it are not looked at. Linear over all calls
 *          together.
 * Owns:    the head's slices borrow the bytes of the call that completed it.
 * Errors:  -EAGAIN not complete yet; EDDY_EHTTP_REQUEST, EDDY_EHTTP_RESPONSE malformed (trailers:
 *          EDDY_EHTTP_BODY); EDDY_EHTTP_VERSION; EDDY_EHTTP_TOO_LARGE a limit was reached; -EINVAL
 *          input is shorter than it was. But for the first and the last, reterr says more.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API int64_t eddy_http_head_parse(eddy_http_head *head, eddy_slice input,
                                      eddy_http_fault *reterr);

/**
 * Tell a complete head that its bytes now stand elsewhere.
 *
 * Shape:   data points to the same head->len bytes.
 * Owns:    the head's slices borrow from data from now on.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API void eddy_http_head_move(eddy_http_head *head, const char *data);

/**
 * The field line with this index.
 *
 * Shape:   0 .. head->field_count - 1, in the order in which they were sent; beyond, both are
 *          empty.
 * Owns:    borrows what the head borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API eddy_http_field eddy_http_head_field(const eddy_http_head *head, uint32_t index);

/**
 * The value of the first field with this name.
 *
 * Shape:   names are the same in both cases. False when there is none. A name that is absent costs
 *          a few nanoseconds, one that is present a comparison of lengths for each field before it.
 * Owns:    borrows what the head borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_head_find(const eddy_http_head *head, const char *name,
                                  eddy_slice *ret_value);

/**
 * The next field with this name: for fields that may come more than once.
 *
 * Shape:   *index is 0 for the first call and then left alone; it is one more than the index of the
 *          field that was found. False when no more comes.
 * Owns:    borrows what the head borrows.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_head_next(const eddy_http_head *head, const char *name, uint32_t *index,
                                  eddy_slice *ret_value);

/**
 * Whether one of the fields with this name lists `token`: ("Connection", "close").
 *
 * Shape:   as eddy_http_list_has, over all fields of the name.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API bool eddy_http_head_lists(const eddy_http_head *head, const char *name, const char *token);

/**
 * The method that a name stands for.
 *
 * Shape:   methods are case-sensitive: "get" is EDDY_HTTP_OTHER.
 * Owns:    nothing.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API enum eddy_http_method eddy_http_method_of(eddy_slice name);

/**
 * A method's name: "GET".
 *
 * Shape:   "" for EDDY_HTTP_OTHER.
 * Owns:    the text is static.
 * Errors:  none.
 * Threads: Pure.
 * Cancel:  Pure.
 */
EDDY_API const char *eddy_http_method_text(enum eddy_http_method method);

EDDY_END_DECLS

#endif
