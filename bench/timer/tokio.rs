// SPDX-License-Identifier: Apache-2.0

//! A million timers in Tokio, on one thread: created and cancelled, created and fired.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{sleep, Sleep};

const COUNT: u32 = 1_000_000;

fn duration(i: u32) -> Duration {
    Duration::from_nanos((u64::from(i.wrapping_mul(2_654_435_761)) * 250_000_000) >> 32)
}

fn print(tells: bool, name: &str, begin: Instant) {
    if tells {
        println!("{} {:.3}", name, begin.elapsed().as_nanos() as f64 / f64::from(COUNT));
    }
}

/// A Sleep is in the wheel once it has been polled.
struct Armed(Vec<Pin<Box<Sleep>>>);

impl Future for Armed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        for timer in &mut self.0 {
            assert!(timer.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    }
}

async fn measure(tells: bool) {
    let begin = Instant::now();
    let timers = (0..COUNT).map(|i| Box::pin(sleep(Duration::from_secs(1000) + duration(i))));
    let mut timers = Armed(timers.collect());
    (&mut timers).await;
    drop(timers);
    print(tells, "cancel_ns", begin);

    let begin = Instant::now();
    let tasks: Vec<_> = (0..COUNT).map(|i| tokio::spawn(sleep(duration(i)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    print(tells, "fire_ns", begin);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(measure(false));
    runtime.block_on(measure(true));
}
