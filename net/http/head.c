/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser is a row of phases, each of which reads one kind of bytes as far as they go. A phase
 * that runs out of bytes leaves `at` behind the last one, so that the next call goes on from there:
 * no byte is read twice, and the answer depends on the bytes alone, never on how they were cut.
 */
#include <eddy/net/http/bytes_impl.h>
#include <eddy/net/http/head_impl.h>
#include <eddy/net/http/target.h>
#include <eddy/runtime/base/error.h>
#include <eddy/runtime/base/opts_impl.h>

#define HEAD_DEFAULT (32 * 1024)
#define HEAD_LARGEST (1024 * 1024 * 1024) /* offsets and their sums fit into 32 bits */
#define TARGET_DEFAULT (8 * 1024)
#define METHOD_LARGEST 32 /* the longest one that is registered has 17 letters */

enum phase {
    LEAD,       /* request: the first byte, which may begin an empty line */
    LEAD_LF,    /* the LF of the empty line */
    METHOD_ONE, /* the first byte of the method */
    METHOD,     /* up to the space */
    TARGET,     /* up to the space */
    VERSION,    /* "HTTP/1.1" */
    VERSION_CR, /* request: the CR behind it */
    STATUS,     /* response: " 200", and a space or the CR behind it */
    REASON,     /* up to the CR */
    LINE_LF,    /* the LF of the first line */
    FIELD,      /* the first byte of a field line, or the CR of the empty line */
    NAME,       /* up to the colon */
    BEFORE_VALUE,
    VALUE,    /* up to the CR */
    VALUE_LF, /* the LF of a field line */
    END_LF,   /* the LF of the empty line */
    ENDED,    /* complete, or an error */
};

enum step {
    NEXT, /* another phase has begun */
    MORE, /* all bytes are read */
    DONE,
    BAD,
};

struct scan {
    eddy_http_head *head;
    const char *base; /* the head's first byte */
    const char *p;    /* what is read next */
    const char *end;
};

static uint32_t offset(const struct scan *scan, const char *p) {
    return (uint32_t)(p - scan->base);
}

static enum step refuse_as(struct scan *scan, const char *p, int error, int status,
                           const char *text) {
    scan->head->error = error;
    scan->head->fault = (eddy_http_fault){status, (size_t)(p - scan->base), text};
    return BAD;
}

/* The byte at `p` cannot be there. */
static enum step refuse(struct scan *scan, const char *p, const char *text) {
    static const int errors[] = {
        [EDDY_HTTP_REQUEST] = EDDY_EHTTP_REQUEST,
        [EDDY_HTTP_RESPONSE] = EDDY_EHTTP_RESPONSE,
        [EDDY_HTTP_TRAILERS] = EDDY_EHTTP_BODY,
    };
    return refuse_as(scan, p, errors[scan->head->kind], 400, text);
}

/* The same, where what it is says more than where it stands. */
static enum step refuse_byte(struct scan *scan, const char *text) {
    switch (*scan->p) {
    case '\0':
        return refuse(scan, scan->p, "a NUL byte");
    case '\n':
        return refuse(scan, scan->p, "a line ends in LF without CR");
    case '\r':
        return refuse(scan, scan->p, "a CR out of place");
    default:
        return refuse(scan, scan->p, text);
    }
}

static enum step begin(struct scan *scan, enum phase phase) {
    scan->head->phase = phase;
    scan->head->mark = offset(scan, scan->p);
    return NEXT;
}

/* --- the first line --------------------------------------------------------------------------- */

static enum step read_lead(struct scan *scan) {
    if (*scan->p == '\r') {
        scan->p++;
        return begin(scan, LEAD_LF);
    }
    return begin(scan, METHOD_ONE);
}

/* Before fields and methods: exactly the LF that follows a CR. */
static enum step read_lf(struct scan *scan, enum phase next) {
    if (*scan->p != '\n') {
        scan->p--;
        return refuse(scan, scan->p, "a CR without LF");
    }
    scan->p++;
    return begin(scan, next);
}

static enum step read_method_one(struct scan *scan) {
    if (!eddyi_http_is(*scan->p, EDDYI_HTTP_TOKEN)) {
        return refuse_byte(scan, "a method cannot begin with this byte");
    }
    return begin(scan, METHOD);
}

static enum step read_method(struct scan *scan) {
    eddy_http_head *head = scan->head;
    const char *start = scan->base + head->mark;
    scan->p = eddyi_http_skip(scan->p, scan->end, EDDYI_HTTP_TOKEN);
    if (scan->p - start > METHOD_LARGEST) {
        return refuse_as(scan, start + METHOD_LARGEST, EDDY_EHTTP_REQUEST, 501,
                         "the method is too long");
    }
    if (scan->p == scan->end) {
        return MORE;
    }
    if (*scan->p != ' ') {
        return refuse_byte(scan, "a method cannot hold this byte");
    }
    head->line.name_at = head->mark;
    head->line.name_len = (uint32_t)(scan->p - start);
    head->method = eddy_http_method_of(eddy_slice_from(start, head->line.name_len));
    scan->p++;
    return begin(scan, TARGET);
}

/* Which form the target has, and whether the method has that form. */
static enum step judge_target(struct scan *scan, eddy_slice text) {
    eddy_http_head *head = scan->head;
    eddy_http_target target;
    if (text.data[0] == '/' && head->method != EDDY_HTTP_CONNECT) {
        head->form = EDDY_HTTP_ORIGIN;
        return NEXT;
    }
    if (eddy_http_target_split(text, &target) < 0) {
        return refuse(scan, text.data, "the target has none of its forms");
    }
    if (target.path.len == 0) {
        head->form = EDDY_HTTP_AUTHORITY;
    } else if (target.authority.len > 0) {
        head->form = EDDY_HTTP_ABSOLUTE;
    } else if (target.path.data[0] == '*') {
        head->form = EDDY_HTTP_ASTERISK;
    } else {
        head->form = EDDY_HTTP_ORIGIN;
    }
    bool is_authority = head->form == EDDY_HTTP_AUTHORITY;
    if (is_authority != (head->method == EDDY_HTTP_CONNECT) ||
        (head->form == EDDY_HTTP_ASTERISK && head->method != EDDY_HTTP_OPTIONS)) {
        return refuse(scan, text.data, "the target's form is not one of this method");
    }
    head->host_at = target.authority.len == 0 ? 0 : offset(scan, target.authority.data);
    head->host_len = (uint32_t)target.authority.len;
    return NEXT;
}

static enum step read_target(struct scan *scan) {
    eddy_http_head *head = scan->head;
    const char *start = scan->base + head->mark;
    scan->p = eddyi_http_skip(scan->p, scan->end, EDDYI_HTTP_TARGET);
    if (scan->p - start > (int64_t)head->target_max) {
        return refuse_as(scan, start + head->target_max, EDDY_EHTTP_TOO_LARGE, 414,
                         "the target is too long");
    }
    if (scan->p == scan->end) {
        return MORE;
    }
    if (*scan->p != ' ') {
        return refuse_byte(scan, "a target cannot hold this byte");
    }
    if (scan->p == start) {
        return refuse(scan, scan->p, "two spaces behind the method");
    }
    head->line.value_at = head->mark;
    head->line.value_len = (uint32_t)(scan->p - start);
    if (judge_target(scan, eddy_slice_from(start, head->line.value_len)) == BAD) {
        return BAD;
    }
    scan->p++;
    return begin(scan, VERSION);
}

static enum step read_version(struct scan *scan) {
    eddy_http_head *head = scan->head;
    const char *start = scan->base + head->mark;
    for (; scan->p < scan->end && scan->p - start < 8; scan->p++) {
        char wanted = "HTTP/0.0"[scan->p - start];
        bool fits = wanted == '0' ? eddyi_http_is(*scan->p, EDDYI_HTTP_DIGIT) : *scan->p == wanted;
        if (!fits) {
            return refuse_byte(scan, "the version is not HTTP/1.1");
        }
    }
    if (scan->p - start < 8) {
        return MORE;
    }
    if (start[5] != '1' || (start[7] != '0' && start[7] != '1')) {
        return refuse_as(scan, start + 5, EDDY_EHTTP_VERSION, 505,
                         "the version is neither HTTP/1.0 nor HTTP/1.1");
    }
    head->version = start[7] == '1' ? 11 : 10;
    return begin(scan, head->kind == EDDY_HTTP_REQUEST ? VERSION_CR : STATUS);
}

static enum step read_version_cr(struct scan *scan) {
    if (*scan->p != '\r') {
        return refuse_byte(scan, "there is something behind the version");
    }
    scan->p++;
    return begin(scan, LINE_LF);
}

static enum step read_status(struct scan *scan) {
    eddy_http_head *head = scan->head;
    const char *start = scan->base + head->mark;
    for (; scan->p < scan->end && scan->p - start < 4; scan->p++) {
        bool is_digit = eddyi_http_is(*scan->p, EDDYI_HTTP_DIGIT);
        if (scan->p == start ? *scan->p != ' ' : !is_digit) {
            return refuse_byte(scan, "the status is not three digits behind one space");
        }
        if (scan->p == start + 1 && *scan->p == '0') {
            return refuse(scan, scan->p, "the status is below 100");
        }
    }
    if (scan->p == scan->end) {
        return MORE;
    }
    head->status = (start[1] - '0') * 100 + (start[2] - '0') * 10 + (start[3] - '0');
    if (*scan->p == ' ') {
        scan->p++;
    } else if (*scan->p != '\r') {
        return refuse_byte(scan, "the status is not three digits");
    }
    return begin(scan, REASON);
}

static enum step read_reason(struct scan *scan) {
    eddy_http_head *head = scan->head;
    scan->p = eddyi_http_skip_value(scan->p, scan->end);
    if (scan->p == scan->end) {
        return MORE;
    }
    if (*scan->p != '\r') {
        return refuse_byte(scan, "a control byte in the reason");
    }
    head->line.value_at = head->mark;
    head->line.value_len = offset(scan, scan->p) - head->mark;
    scan->p++;
    return begin(scan, LINE_LF);
}

/* --- fields ----------------------------------------------------------------------------------- */

static enum step read_field(struct scan *scan) {
    eddy_http_head *head = scan->head;
    char byte = *scan->p;
    if (byte == '\r') {
        scan->p++;
        return begin(scan, END_LF);
    }
    if (!eddyi_http_is(byte, EDDYI_HTTP_TOKEN)) {
        return refuse_byte(scan, eddyi_http_is_blank(byte) ? "a line begins with white space"
                                 : byte == ':'             ? "a field has no name"
                                                           : "a name cannot hold this byte");
    }
    if (head->field_count >= head->field_max) {
        return refuse_as(scan, scan->p, EDDY_EHTTP_TOO_LARGE, 431, "too many fields");
    }
    return begin(scan, NAME);
}

static enum step read_name(struct scan *scan) {
    eddy_http_head *head = scan->head;
    scan->p = eddyi_http_skip(scan->p, scan->end, EDDYI_HTTP_TOKEN);
    if (scan->p == scan->end) {
        return MORE;
    }
    if (*scan->p != ':') {
        return refuse_byte(scan, eddyi_http_is_blank(*scan->p) ? "white space before the colon"
                                                               : "a name cannot hold this byte");
    }
    eddy_http_span *span = &head->spans[head->field_count];
    span->name_at = head->mark;
    span->name_len = offset(scan, scan->p) - head->mark;
    head->name_bits |= eddyi_http_name_bit(scan->base + span->name_at, span->name_len);
    scan->p++;
    return begin(scan, BEFORE_VALUE);
}

static enum step read_before_value(struct scan *scan) {
    while (scan->p < scan->end && eddyi_http_is_blank(*scan->p)) {
        scan->p++;
    }
    return scan->p == scan->end ? MORE : begin(scan, VALUE);
}

static enum step read_value(struct scan *scan) {
    eddy_http_head *head = scan->head;
    scan->p = eddyi_http_skip_value(scan->p, scan->end);
    if (scan->p == scan->end) {
        return MORE;
    }
    if (*scan->p != '\r') {
        return refuse_byte(scan, "a control byte in a value");
    }
    const char *last = scan->p; /* behind the value; its first byte, if any, is not blank */
    while (last > scan->base + head->mark && eddyi_http_is_blank(last[-1])) {
        last--;
    }
    eddy_http_span *span = &head->spans[head->field_count];
    span->value_at = head->mark;
    span->value_len = offset(scan, last) - head->mark;
    scan->p++;
    return begin(scan, VALUE_LF);
}

static enum step read_value_lf(struct scan *scan) {
    enum step step = read_lf(scan, FIELD);
    if (step == NEXT) {
        scan->head->field_count++;
    }
    return step;
}

/* RFC 9112 3.2: one Host in a request of 1.1, at most one in 1.0, and what it holds a host. */
static enum step judge_host(struct scan *scan) {
    eddy_http_head *head = scan->head;
    eddy_slice value;
    eddy_slice host;
    int port;
    uint32_t index = 0;
    if (!eddy_http_head_next(head, "Host", &index, &value)) {
        return head->version == 10 ? DONE : refuse(scan, scan->p, "there is no Host");
    }
    if (eddy_http_authority_split(value, &host, &port) < 0) {
        return refuse(scan, value.data, "Host holds no host");
    }
    if (head->host_len == 0) {
        head->host_at = offset(scan, value.data);
        head->host_len = (uint32_t)value.len;
    }
    if (eddy_http_head_next(head, "Host", &index, &value)) {
        return refuse(scan, value.data, "Host is there twice");
    }
    return DONE;
}

static enum step read_end(struct scan *scan) {
    enum step step = read_lf(scan, ENDED);
    if (step == BAD) {
        return BAD;
    }
    if (scan->head->kind == EDDY_HTTP_REQUEST && judge_host(scan) == BAD) {
        return BAD;
    }
    return DONE;
}

/* --- the parser ------------------------------------------------------------------------------- */

static enum step read_some(struct scan *scan) {
    if (scan->p == scan->end) {
        return MORE;
    }
    switch ((enum phase)scan->head->phase) {
    case LEAD:
        return read_lead(scan);
    case LEAD_LF:
        return read_lf(scan, METHOD_ONE);
    case METHOD_ONE:
        return read_method_one(scan);
    case METHOD:
        return read_method(scan);
    case TARGET:
        return read_target(scan);
    case VERSION:
        return read_version(scan);
    case VERSION_CR:
        return read_version_cr(scan);
    case STATUS:
        return read_status(scan);
    case REASON:
        return read_reason(scan);
    case LINE_LF:
        return read_lf(scan, FIELD);
    case FIELD:
        return read_field(scan);
    case NAME:
        return read_name(scan);
    case BEFORE_VALUE:
        return read_before_value(scan);
    case VALUE:
        return read_value(scan);
    case VALUE_LF:
        return read_value_lf(scan);
    case END_LF:
        return read_end(scan);
    case ENDED:
        break;
    }
    return DONE;
}

/* What came does not end the head: is there room for what would? */
static int64_t wait_for_more(struct scan *scan) {
    eddy_http_head *head = scan->head;
    head->at = offset(scan, scan->p);
    if (head->at < head->head_max) {
        return -EAGAIN;
    }
    bool in_target = head->phase == TARGET;
    refuse_as(scan, scan->p, EDDY_EHTTP_TOO_LARGE, in_target ? 414 : 431,
              in_target ? "the target is too long" : "the head is too long");
    head->phase = ENDED;
    return head->error;
}

void eddy_http_head_move(eddy_http_head *head, const char *data) {
    head->data = data;
    if (head->kind == EDDY_HTTP_REQUEST) {
        head->method_name = eddyi_http_head_slice(head, head->line.name_at, head->line.name_len);
        head->target = eddyi_http_head_slice(head, head->line.value_at, head->line.value_len);
        head->host = eddyi_http_head_slice(head, head->host_at, head->host_len);
    } else if (head->kind == EDDY_HTTP_RESPONSE) {
        head->reason = eddyi_http_head_slice(head, head->line.value_at, head->line.value_len);
    }
}

int64_t eddy_http_head_parse(eddy_http_head *head, eddy_slice input, eddy_http_fault *reterr) {
    enum step step = NEXT;
    if (input.len < head->at) {
        return -EINVAL;
    }
    if (head->phase != ENDED) {
        struct scan scan = {head, input.data, NULL, NULL};
        size_t len = input.len < head->head_max ? input.len : head->head_max;
        if (len == head->at) {
            return -EAGAIN; /* nothing new; and nothing is added to what may be a NULL pointer */
        }
        scan.p = input.data + head->at;
        scan.end = input.data + len;
        head->data = input.data;
        do {
            step = read_some(&scan);
        } while (step == NEXT);
        if (step == MORE && wait_for_more(&scan) == -EAGAIN) {
            return -EAGAIN;
        }
        head->at = offset(&scan, scan.p);
        head->phase = ENDED;
        head->len = head->error == 0 ? head->at : 0;
    }
    if (head->error != 0) {
        if (reterr != NULL) {
            *reterr = head->fault;
        }
        return head->error;
    }
    eddy_http_head_move(head, input.data);
    return head->len;
}

static uint32_t limit(uint32_t wanted, uint32_t usual, uint32_t largest) {
    if (wanted == 0) {
        return usual;
    }
    return wanted < largest ? wanted : largest;
}

int eddy_http_head_init(eddy_http_head *head, enum eddy_http_kind kind,
                        const eddy_http_limits *limits) {
    eddy_http_limits copy;
    int r = EDDYI_OPTS_READ(&copy, limits, fields);
    static const enum phase first[] = {
        [EDDY_HTTP_REQUEST] = LEAD,
        [EDDY_HTTP_RESPONSE] = VERSION,
        [EDDY_HTTP_TRAILERS] = FIELD,
    };
    memset(head, 0, offsetof(eddy_http_head, spans));
    head->kind = kind;
    head->version = kind == EDDY_HTTP_TRAILERS ? 11 : 0;
    head->phase = first[kind];
    head->head_max = limit(copy.head_bytes, HEAD_DEFAULT, HEAD_LARGEST);
    head->target_max = limit(copy.target_bytes, TARGET_DEFAULT, HEAD_LARGEST);
    head->field_max = limit(copy.fields, EDDY_HTTP_FIELDS_MAX, EDDY_HTTP_FIELDS_MAX);
    if (r < 0) {
        head->phase = ENDED;
        head->fault.text = "a limit that is not known here";
    }
    head->error = r;
    return r;
}
