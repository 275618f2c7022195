/* SPDX-License-Identifier: Apache-2.0 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/chunked.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/opts_impl.h>

#define EXTENSION_DEFAULT (16 * 1024)
#define TRAILER_DEFAULT (8 * 1024)
#define DIGITS_MAX 16 /* of a size: INT64_MAX has 16, and zeros in front are not endless */

/*
 *     SIZE CR LF -> DATA CR LF -> SIZE ... 0 CR LF -> trailers -> CR LF
 *
 * and between a size and its CR any number of ";name", ";name=value", ";name="quoted"".
 */
enum phase {
    SIZE,
    GAP,       /* blanks behind a size or an extension: a ';' has to follow */
    EXT_START, /* behind ';', blanks may stand there */
    EXT_NAME,
    EXT_NAME_GAP, /* blanks behind a name: '=' or ';' has to follow */
    EXT_VALUE_START,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_PAIR, /* behind a backslash in quotes */
    EXT_QUOTED_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* the first byte of a trailer line, or the CR of the empty line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    ENDED,
};

static void refuse_as(eddy_http_chunked *chunked, int error, const char *text) {
    chunked->error = error;
    chunked->fault.status = error == EDDY_EHTTP_TOO_LARGE ? 413 : 400;
    chunked->fault.text = text;
}

/* Gives false, for `return refuse(...)`. */
static bool refuse(eddy_http_chunked *chunked, const char *text) {
    refuse_as(chunked, EDDY_EHTTP_BODY, text);
    return false;
}

static bool enter(eddy_http_chunked *chunked, enum phase phase) {
    chunked->phase = (uint8_t)phase;
    return true;
}

static bool read_size(eddy_http_chunked *chunked, char byte) {
    if (eddyi_http_is(byte, EDDYI_HTTP_HEX)) {
        if (chunked->digits == DIGITS_MAX || chunked->size > INT64_MAX / 16) {
            return refuse(chunked, "the size of a chunk is too large");
        }
        chunked->digits++;
        chunked->size = chunked->size * 16 + eddyi_http_hex(byte);
        return true;
    }
    if (chunked->digits == 0) {
        return refuse(chunked, "a chunk does not begin with its size");
    }
    switch (byte) {
    case '\r':
        return enter(chunked, SIZE_LF);
    case ';':
        return enter(chunked, EXT_START);
    case ' ':
    case '\t':
        return enter(chunked, GAP);
    default:
        return refuse(chunked, "the size of a chunk holds another byte");
    }
}

/* What may follow a whole extension: another, or the end of the line. */
static bool end_extension(eddy_http_chunked *chunked, char byte) {
    switch (byte) {
    case '\r':
        return enter(chunked, SIZE_LF);
    case ';':
        return enter(chunked, EXT_START);
    case ' ':
    case '\t':
        return enter(chunked, GAP);
    default:
        return refuse(chunked, "malformed chunk extension");
    }
}

static bool read_extension(eddy_http_chunked *chunked, char byte) {
    bool is_token = eddyi_http_is(byte, EDDYI_HTTP_TOKEN);
    bool is_blank = eddyi_http_is_blank(byte);
    switch ((enum phase)chunked->phase) {
    case GAP:
        if (is_blank || byte == ';') {
            return is_blank || enter(chunked, EXT_START);
        }
        break;
    case EXT_START:
        if (is_blank || is_token) {
            return is_blank || enter(chunked, EXT_NAME);
        }
        break;
    case EXT_NAME:
        if (is_token) {
            return true;
        }
        if (is_blank || byte == '=') {
            return enter(chunked, is_blank ? EXT_NAME_GAP : EXT_VALUE_START);
        }
        return end_extension(chunked, byte);
    case EXT_NAME_GAP:
        if (is_blank) {
            return true;
        }
        if (byte == '=' || byte == ';') {
            return enter(chunked, byte == '=' ? EXT_VALUE_START : EXT_START);
        }
        break;
    case EXT_VALUE_START:
        if (is_blank) {
            return true;
        }
        if (is_token || byte == '"') {
            return enter(chunked, is_token ? EXT_VALUE : EXT_QUOTED);
        }
        break;
    case EXT_VALUE:
        return is_token || end_extension(chunked, byte);
    case EXT_QUOTED:
        if (byte == '"' || byte == '\\') {
            return enter(chunked, byte == '"' ? EXT_QUOTED_END : EXT_PAIR);
        }
        if (eddyi_http_is(byte, EDDYI_HTTP_VALUE)) {
            return true;
        }
        break;
    case EXT_PAIR:
        if (eddyi_http_is(byte, EDDYI_HTTP_VALUE)) {
            return enter(chunked, EXT_QUOTED);
        }
        break;
    case EXT_QUOTED_END:
        return end_extension(chunked, byte);
    default:
        break;
    }
    return refuse(chunked, "malformed chunk extension");
}

/* The line of a size has ended. */
static bool begin_chunk(eddy_http_chunked *chunked) {
    chunked->left = chunked->size;
    chunked->size = 0;
    chunked->digits = 0;
    if (chunked->left > 0) {
        return enter(chunked, DATA);
    }
    chunked->done = chunked->keep_trailers;
    return enter(chunked, chunked->done ? ENDED : TRAILER);
}

static bool read_trailer(eddy_http_chunked *chunked, char byte) {
    switch ((enum phase)chunked->phase) {
    case TRAILER:
        if (eddyi_http_is(byte, EDDYI_HTTP_TOKEN)) {
            return enter(chunked, TRAILER_NAME);
        }
        break;
    case TRAILER_NAME:
        if (eddyi_http_is(byte, EDDYI_HTTP_TOKEN)) {
            return true;
        }
        if (byte == ':') {
            return enter(chunked, TRAILER_VALUE);
        }
        break;
    case TRAILER_VALUE:
        if (byte == '\r') {
            return enter(chunked, TRAILER_LF);
        }
        if (eddyi_http_is(byte, EDDYI_HTTP_VALUE)) {
            return true;
        }
        break;
    case TRAILER_LF:
        if (byte == '\n') {
            return enter(chunked, TRAILER);
        }
        break;
    default:
        break;
    }
    return refuse(chunked, "malformed trailer");
}

static bool spend(eddy_http_chunked *chunked, uint32_t *left, const char *text) {
    if (*left == 0) {
        refuse_as(chunked, EDDY_EHTTP_TOO_LARGE, text);
        return false;
    }
    --*left;
    return true;
}

static bool spend_extension(eddy_http_chunked *chunked) {
    return spend(chunked, &chunked->extension_left, "the chunk extensions are too long");
}

/* One byte that is not data. */
static bool read_byte(eddy_http_chunked *chunked, char byte) {
    switch ((enum phase)chunked->phase) {
    case SIZE:
        if (byte == ';' || eddyi_http_is_blank(byte)) {
            return spend_extension(chunked) && read_size(chunked, byte);
        }
        return read_size(chunked, byte);
    case SIZE_LF:
        return byte == '\n' ? begin_chunk(chunked) : refuse(chunked, "a CR without LF");
    case DATA_CR:
        return byte == '\r' ? enter(chunked, DATA_LF)
                            : refuse(chunked, "no line end behind the data of a chunk");
    case DATA_LF:
        return byte == '\n' ? enter(chunked, SIZE)
                            : refuse(chunked, "no line end behind the data of a chunk");
    case TRAILER:
        if (byte == '\r') {
            return enter(chunked, END_LF);
        }
        /* fall through */
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
        return spend(chunked, &chunked->trailer_left, "the trailers are too long") &&
               read_trailer(chunked, byte);
    case END_LF:
        if (byte != '\n') {
            return refuse(chunked, "a CR without LF");
        }
        chunked->done = true;
        return enter(chunked, ENDED);
    default:
        return (byte == '\r' || spend_extension(chunked)) && read_extension(chunked, byte);
    }
}

int64_t eddy_http_chunked_next(eddy_http_chunked *chunked, eddy_slice input, eddy_slice *ret_data,
                               eddy_http_fault *reterr) {
    size_t used = 0;
    eddy_slice data = {NULL, 0};
    while (used < input.len && !chunked->done && chunked->error == 0) {
        if (chunked->phase == DATA) {
            size_t rest = input.len - used;
            size_t len = chunked->left < rest ? (size_t)chunked->left : rest;
            data = eddy_slice_from(input.data + used, len);
            used += len;
            chunked->left -= len;
            if (chunked->left == 0) {
                chunked->phase = DATA_CR;
            }
            break;
        }
        if (read_byte(chunked, input.data[used])) {
            used++;
        } else {
            chunked->fault.offset = (size_t)(chunked->consumed + used);
        }
    }
    if (chunked->error != 0) {
        if (reterr != NULL) {
            *reterr = chunked->fault;
        }
        return chunked->error;
    }
    chunked->consumed += used;
    *ret_data = data;
    return (int64_t)used;
}

int eddy_http_chunked_skip(eddy_http_chunked *chunked, uint64_t len) {
    if (len > chunked->left) {
        return -EINVAL;
    }
    if (len > 0) {
        chunked->left -= len;
        chunked->consumed += len;
        if (chunked->left == 0) {
            chunked->phase = DATA_CR;
        }
    }
    return 0;
}

static uint32_t limit(uint32_t wanted, uint32_t usual) {
    return wanted == 0 ? usual : wanted == EDDY_HTTP_NONE ? 0 : wanted;
}

int eddy_http_chunked_init(eddy_http_chunked *chunked, const eddy_http_chunked_opts *opts) {
    eddy_http_chunked_opts copy;
    int r = EDDYI_OPTS_READ(&copy, opts, keep_trailers);
    *chunked = (eddy_http_chunked){
        .phase = SIZE,
        .keep_trailers = copy.keep_trailers,
        .extension_left = limit(copy.extension_bytes, EXTENSION_DEFAULT),
        .trailer_left = limit(copy.trailer_bytes, TRAILER_DEFAULT),
        .error = r,
        .fault.text = r < 0 ? "an option that is not known here" : NULL,
    };
    return r;
}

int eddy_http_chunk_line(uint64_t len, char ret_line[EDDY_HTTP_CHUNK_LINE_MAX]) {
    static const char hex[] = "0123456789abcdef";
    int digits = 0;
    if (len == 0 || len > INT64_MAX) {
        return -EINVAL;
    }
    for (uint64_t rest = len; rest > 0; rest /= 16) {
        digits++;
    }
    for (int i = digits; i > 0; i--) {
        ret_line[i - 1] = hex[len % 16];
        len /= 16;
    }
    memcpy(ret_line + digits, "\r\n", 2);
    return digits + 2;
}
