# SPDX-License-Identifier: Apache-2.0
"""Writes what Python's own library makes of HTTP, for test_http.c to compare with.

Usage: http_cases.py KIND SEED. One case a line, its fields in hexadecimal, parted by spaces. Text
is in latin-1, so that each byte is a character. The last line is "end".
"""
import email.utils
import http
import http.client
import io
import mimetypes
import random
import sys
import time
import urllib.parse

ROUNDS = 2000


def put(*fields):
    print(*("x" + str(field).encode("latin-1").hex() for field in fields))


def any_bytes(rng, most=12):
    return bytes(rng.randrange(256) for _ in range(rng.randrange(most)))


def encoded(rng, plain="abcXYZ019-._~!$'()*,:@"):
    """Text in which some bytes are percent-encoded, in both cases."""
    text = ""
    for _ in range(rng.randrange(12)):
        kind = rng.randrange(4)
        if kind == 0:
            text += "%%%02x" % rng.randrange(256)
        elif kind == 1:
            text += "%%%02X" % rng.randrange(256)
        else:
            text += rng.choice(plain)
    return text


def status(_):
    for code in http.HTTPStatus:
        put(code.value, code.phrase)


def date(rng):
    for _ in range(ROUNDS):
        stamp = rng.randrange(-62135596800, 253402300800)  # datetime's years, 1 to 9999
        put(stamp, email.utils.formatdate(stamp, usegmt=True))


def date_forms(rng):
    # Python takes two digits from 69 on for the century before, so the clock here stands in 2018.
    now = 1530000000
    for _ in range(ROUNDS):
        stamp = rng.randrange(-31536000, 3124224000)  # 1969 to 2068
        parts = time.gmtime(stamp)
        for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "asctime"):
            text = time.asctime(parts) if form == "asctime" else time.strftime(form, parts)
            read = email.utils.parsedate_tz(text)
            put(text, now, email.utils.mktime_tz(read[:9] + (0,)))


def mime(rng):
    types = mimetypes.MimeTypes(filenames=())
    for extension in sorted(types.types_map[True]):
        for name in ("a" + extension, "/b.c/a" + extension.upper(), "a.b" + extension):
            if extension not in (".js", ".mjs"):  # here as RFC 9239 and later versions of Python
                put(name, types.guess_type(name)[0] or "")
    for name in ("a", "a.", ".html", "html", "a.html/b", "a.nosuchtype"):
        put(name, types.guess_type(name)[0] or "")


def unquote(rng):
    for _ in range(ROUNDS):
        text = encoded(rng) + rng.choice(["", "+", "a+b"])
        plain = urllib.parse.unquote(text, "latin-1")
        plus = urllib.parse.unquote_plus(text, "latin-1")
        put(text, plain, plus)


def quote(rng):
    for _ in range(ROUNDS):
        raw = any_bytes(rng)
        put(raw.decode("latin-1"), urllib.parse.quote(raw), urllib.parse.quote(raw, safe=""))


def query(rng):
    for _ in range(ROUNDS):
        text = "&".join(rng.choice(["", "=", "=="]).join([encoded(rng), encoded(rng) + "+"])
                        for _ in range(rng.randrange(5)))
        text += rng.choice(["", "&", "&&", "&a", "&=", "&a=b=c"])
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, encoding="latin-1")
        put(text, *(part for pair in pairs for part in pair))


def split(rng):
    for _ in range(ROUNDS):
        text = rng.choice(["http", "HTTPS", "a+b-c.1"]) + "://"
        text += rng.choice(["h", "a.b-c_d", "127.0.0.1", "[::1]", "H%41"])
        text += rng.choice(["", ":", ":80", ":65535"])
        text += rng.choice(["", "/" + encoded(rng), "/a//b/", "/a:b@c"])
        text += rng.choice(["", "?", "?" + encoded(rng), "?a?b=/c"])
        parts = urllib.parse.urlsplit(text)
        put(text, parts.scheme, parts.netloc, parts.path or "/", parts.query)


def path(rng):
    """What is left of a path when segments are taken and given back; "refused" beyond the root."""
    pieces = ["/", "/", "//", ".", "..", "a", "b c", "%2e", "%2E%2e", "%61", "%25", "...", "\xe4"]
    for _ in range(ROUNDS * 2):
        text = "/" + "".join(rng.choice(pieces) for _ in range(rng.randrange(10)))
        segments = []
        refused = False
        *folders, last = urllib.parse.unquote(text, "latin-1").split("/")[1:]
        for segment in folders + [last]:
            if segment == "..":
                refused |= not segments
                segments[-1:] = []
            elif segment not in ("", "."):
                segments.append(segment)
        result = "/" + "/".join(segments)
        if segments and last in ("", ".", ".."):
            result += "/"
        put(text, "refused" if refused else result)


TOKEN = "!#$%&'*+-.^_`|~019abcXYZ"


def head(rng):
    for _ in range(ROUNDS // 4):
        lines = []
        for _ in range(rng.randrange(12)):
            name = "".join(rng.choice(TOKEN) for _ in range(rng.randrange(1, 12)))
            value = "".join(chr(rng.choice([9, 32, *range(33, 127), *range(160, 256)]))
                            for _ in range(rng.randrange(40)))
            lines.append(name + ":" + value)
        text = "".join(line + "\r\n" for line in lines) + "\r\n"
        message = http.client.parse_headers(io.BytesIO(text.encode("latin-1")))
        flat = []
        for name, value in message.items():
            flat += [name, value.strip(" \t")]
        put(text, *flat)


class Wire:
    """A socket of which only the bytes matter."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


def response(rng):
    for _ in range(ROUNDS // 4):
        version = rng.choice([10, 11])
        code = rng.choice([200, 206, 404, 204, 304, 999])
        method = rng.choice(["GET", "HEAD"])
        fields = rng.choice(["", "Content-Length: 7\r\n", "Content-Length: 0\r\n"])
        if version == 11 and rng.randrange(3) == 0:
            fields = "Transfer-Encoding: chunked\r\n"
        fields += rng.choice(["", "Connection: close\r\n", "Connection: keep-alive\r\n"])
        text = "HTTP/1.%d %d Some Reason\r\n%s\r\n" % (version - 10, code, fields)
        reply = http.client.HTTPResponse(Wire(text.encode()), method=method)
        reply.begin()
        if method == "HEAD" or code in (204, 304):
            body = "none"
        elif reply.chunked:
            body = "chunked"
        else:
            body = "close" if reply.length is None else str(reply.length)
        put(text, method, reply.version, reply.status, reply.reason, body,
            int(not reply.will_close))


def chunked(rng):
    for _ in range(ROUNDS // 4):
        text = b""
        for _ in range(rng.randrange(6)):
            data = any_bytes(rng, 40) + b"."
            size = rng.choice(["%x", "%X", "0%x"]) % len(data)
            extension = rng.choice(["", ";a", ";a=b", ";a=\"b\"; c"])
            text += (size + extension + "\r\n").encode() + data + b"\r\n"
        text += b"0\r\n" + rng.choice([b"", b"A: b\r\n", b"A: b\r\nC:\r\n"]) + b"\r\n"
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text
        reply = http.client.HTTPResponse(Wire(wire), method="GET")
        reply.begin()
        put(text.decode("latin-1"), reply.read().decode("latin-1"))


def main():
    rng = random.Random(int(sys.argv[2]))
    globals()[sys.argv[1]](rng)
    print("end")


main()
