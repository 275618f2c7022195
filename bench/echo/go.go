// SPDX-License-Identifier: Apache-2.0

// Echo in Go: a goroutine a connection. Prints its port.
package main

import (
	"fmt"
	"net"
	"os"
)

func echo(peer net.Conn) {
	defer peer.Close()
	buf := make([]byte, 16*1024)
	for {
		n, err := peer.Read(buf)
		if err != nil {
			return
		}
		if _, err := peer.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		peer, err := listener.Accept()
		if err == nil {
			go echo(peer)
		}
	}
}
