// SPDX-License-Identifier: Apache-2.0

//! Echo on Tokio, on one thread: a task a connection. Prints its port.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut peer: TcpStream) -> std::io::Result<()> {
    peer.set_nodelay(true)?;
    let mut buf = vec![0; 16 * 1024];
    loop {
        let n = peer.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        peer.write_all(&buf[..n]).await?;
    }
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (peer, _) = listener.accept().await?;
        tokio::spawn(echo(peer));
    }
}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}
