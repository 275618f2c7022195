// SPDX-License-Identifier: Apache-2.0

//! What tasks cost in Tokio, on one thread: a yield between two, a start with its await, a round
//! trip by channels.
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::yield_now;

const YIELDS: u32 = 5_000_000;
const STARTS: u32 = 2_000_000;
const TRIPS: u32 = 2_000_000;

fn print(name: &str, begin: Instant, count: u32) {
    println!("{} {:.3}", name, begin.elapsed().as_nanos() as f64 / f64::from(count));
}

async fn yield_often() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

async fn measure_switch() {
    let begin = Instant::now();
    let other = tokio::spawn(yield_often());
    tokio::spawn(yield_often()).await.unwrap();
    other.await.unwrap();
    print("switch_ns", begin, 2 * YIELDS);
}

async fn measure_start() {
    let begin = Instant::now();
    for _ in 0..STARTS {
        tokio::spawn(async { 0_i64 }).await.unwrap();
    }
    print("spawn_ns", begin, STARTS);
}

async fn measure_channel() {
    let (ping, mut from_ping) = mpsc::channel::<i64>(1);
    let (pong, mut from_pong) = mpsc::channel::<i64>(1);
    tokio::spawn(async move {
        while let Some(value) = from_ping.recv().await {
            pong.send(value).await.unwrap();
        }
    });
    let begin = Instant::now();
    for i in 0..TRIPS {
        ping.send(i64::from(i)).await.unwrap();
        from_pong.recv().await.unwrap();
    }
    print("channel_ns", begin, TRIPS);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        tokio::spawn(async {
            measure_switch().await;
            measure_start().await;
            measure_channel().await;
        })
        .await
        .unwrap();
    });
}
