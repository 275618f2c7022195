// SPDX-License-Identifier: Apache-2.0

// `idle_go serve`: a server of lines, a goroutine and a reader for each connection. Prints its port.
// `idle_go sleep N`: N goroutines that sleep; prints how long starting them took, and their memory.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

func residentMiB() float64 {
	var size, resident int
	statm, _ := os.ReadFile("/proc/self/statm")
	fmt.Sscan(string(statm), &size, &resident)
	return float64(resident*os.Getpagesize()) / (1 << 20)
}

func echoLines(peer net.Conn) {
	defer peer.Close()
	reader := bufio.NewReader(peer)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		if _, err := peer.Write(line); err != nil {
			return
		}
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		if peer, err := listener.Accept(); err == nil {
			go echoLines(peer)
		}
	}
}

func startSleepers(count int64) {
	var asleep int64
	before, begin := residentMiB(), time.Now()
	for i := int64(0); i < count; i++ {
		go func() {
			atomic.AddInt64(&asleep, 1)
			time.Sleep(time.Hour)
		}()
	}
	for atomic.LoadInt64(&asleep) < count {
		runtime.Gosched()
	}
	fmt.Printf("start_s %.4f\n", time.Since(begin).Seconds())
	fmt.Printf("tasks_mib %.2f\n", residentMiB()-before)
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "sleep" {
		count, _ := strconv.ParseInt(os.Args[2], 10, 64)
		startSleepers(count)
		return
	}
	serve()
}
