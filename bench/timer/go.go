// SPDX-License-Identifier: Apache-2.0

// A million timers in Go: created and cancelled, created and fired.
package main

import (
	"fmt"
	"sync"
	"time"
)

const count = 1000000

func duration(i uint32) time.Duration {
	return time.Duration(uint64(i*2654435761) * 250000000 >> 32)
}

func print(tells bool, name string, begin time.Time) {
	if !tells {
		return
	}
	fmt.Printf("%s %.3f\n", name, float64(time.Since(begin).Nanoseconds())/count)
}

func measure(timers []*time.Timer, tells bool) {
	begin := time.Now()
	for i := range timers {
		timers[i] = time.AfterFunc(1000*time.Second+duration(uint32(i)), func() {})
	}
	for i := range timers {
		timers[i].Stop()
	}
	print(tells, "cancel_ns", begin)

	var fired sync.WaitGroup
	fired.Add(count)
	begin = time.Now()
	for i := range timers {
		timers[i] = time.AfterFunc(duration(uint32(i)), fired.Done)
	}
	fired.Wait()
	print(tells, "fire_ns", begin)
}

func main() {
	timers := make([]*time.Timer, count)
	measure(timers, false)
	measure(timers, true)
}
