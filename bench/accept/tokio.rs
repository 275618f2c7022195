// SPDX-License-Identifier: Apache-2.0

//! Short connections on Tokio, on one thread: read a request, answer, close. Prints its port.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bench\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
    Connection: close\r\n\r\nhello, world\n";

async fn respond(mut peer: TcpStream) -> std::io::Result<()> {
    peer.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    let mut len = 0;
    loop {
        let n = peer.read(&mut bytes[len..]).await?;
        if n == 0 {
            return Ok(());
        }
        len += n;
        if bytes[..len].windows(4).any(|end| end == b"\r\n\r\n") {
            return peer.write_all(RESPONSE).await;
        }
    }
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (peer, _) = listener.accept().await?;
        tokio::spawn(respond(peer));
    }
}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}
