/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs without an HTTP server of their own answer: as many bytes as nginx sends. */
#ifndef EDDY_BENCH_RESPONSE_H
#define EDDY_BENCH_RESPONSE_H

#define HEAD(connection) \
    "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" \
    "Content-Type: text/plain\r\nContent-Length: 13\r\nConnection: " connection "\r\n\r\n" \
    "hello, world\n"
#define RESPONSE HEAD("keep-alive")
#define CLOSING_RESPONSE HEAD("close")

#endif
