// SPDX-License-Identifier: Apache-2.0

//! `idle_tokio serve`: a server of lines on one thread, a task and a reader for each connection.
//! Prints its port. `idle_tokio sleep N`: N tasks that sleep; prints how long starting them took,
//! and their memory.
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, yield_now, LocalSet};

fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / f64::from(1 << 20)
}

async fn echo_lines(peer: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(peer);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        reader.get_mut().write_all(&line).await?;
    }
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (peer, _) = listener.accept().await?;
        tokio::spawn(echo_lines(peer));
    }
}

async fn start_sleepers(count: u64) {
    let asleep = Rc::new(Cell::new(0));
    let (before, begin) = (resident_mib(), Instant::now());
    for _ in 0..count {
        let asleep = asleep.clone();
        spawn_local(async move {
            asleep.set(asleep.get() + 1);
            tokio::time::sleep(Duration::from_secs(3600)).await;
        });
    }
    while asleep.get() < count {
        yield_now().await;
    }
    println!("start_s {:.4}", begin.elapsed().as_secs_f64());
    println!("tasks_mib {:.2}", resident_mib() - before);
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() == 3 && arguments[1] == "sleep" {
        let count = arguments[2].parse().unwrap();
        runtime.block_on(LocalSet::new().run_until(start_sleepers(count)));
        return Ok(());
    }
    runtime.block_on(serve())
}
