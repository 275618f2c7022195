// SPDX-License-Identifier: Apache-2.0

// What goroutines cost: a yield between two, a start with its result, a round trip by channels.
package main

import (
	"fmt"
	"runtime"
	"time"
)

const (
	yields = 5000000
	starts = 2000000
	trips  = 2000000
)

func perItem(name string, begin time.Time, count int) {
	fmt.Printf("%s %.3f\n", name, float64(time.Since(begin).Nanoseconds())/float64(count))
}

func yieldOften() {
	for i := 0; i < yields; i++ {
		runtime.Gosched()
	}
}

func measureSwitch() {
	done := make(chan bool)
	begin := time.Now()
	go func() {
		yieldOften()
		done <- true
	}()
	yieldOften()
	<-done
	perItem("switch_ns", begin, 2*yields)
}

func measureStart() {
	begin := time.Now()
	for i := 0; i < starts; i++ {
		result := make(chan int64, 1)
		go func() { result <- 0 }()
		<-result
	}
	perItem("spawn_ns", begin, starts)
}

func measureChannel() {
	ping, pong := make(chan int64), make(chan int64)
	go func() {
		for value := range ping {
			pong <- value
		}
	}()
	begin := time.Now()
	for i := 0; i < trips; i++ {
		ping <- int64(i)
		<-pong
	}
	perItem("channel_ns", begin, trips)
	close(ping)
}

func main() {
	measureSwitch()
	measureStart()
	measureChannel()
}
