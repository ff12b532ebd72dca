//! A small listener that answers by script.

use std::sync::Arc;

use ottla_protocol::frame::{RequestHead, ResponseFrame};
use ottla_protocol::wire::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the listener does with a request: the frames to send, or the end.
pub(crate) type Script = Arc<dyn Fn(&RequestHead<'_>, &[u8]) -> Option<Vec<Vec<u8>>> + Send + Sync>;

/// The frame of an answer to `head`.
pub(crate) fn frame<M: Message>(head: &RequestHead<'_>, body: &M) -> Vec<u8> {
    let frame = ResponseFrame::new(Vec::new(), head.api, head.version, head.correlation_id, body).unwrap();
    let mut bytes = Vec::new();
    let mut from = 0;
    for part in &frame.gathered {
        bytes.extend_from_slice(&frame.bytes[from..part.at]);
        bytes.extend_from_slice(part.records.as_bytes().unwrap());
        from = part.at;
    }
    bytes.extend_from_slice(&frame.bytes[from..]);
    bytes
}

pub(crate) async fn serve(mut stream: TcpStream, script: Script) {
    loop {
        let Ok(size) = stream.read_i32().await else { return };
        let mut bytes = vec![0; size as usize];
        stream.read_exact(&mut bytes).await.unwrap();
        let (head, body) = RequestHead::read(&bytes).unwrap();
        let Some(frames) = script(&head, body) else { return };
        for frame in frames {
            stream.write_all(&frame).await.unwrap();
        }
    }
}

/// Listens on a port of its own; every connection is answered by the script.
pub(crate) async fn listen(
    script: impl Fn(&RequestHead<'_>, &[u8]) -> Option<Vec<Vec<u8>>> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let script: Script = Arc::new(script);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, script.clone()));
        }
    });
    port
}
