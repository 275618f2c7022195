// SPDX-License-Identifier: Apache-2.0

// net/http with a handler that answers a fixed small body. Prints its port.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	body := []byte("hello, world\n")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	}))
}
