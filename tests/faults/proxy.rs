//! A man in the middle between the broker and its key provider, who counts calls and spoils answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is passed on.
    None,
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
    /// A status, with `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// 200, and no JSON.
    Garbage,
    /// The connection ends in the middle of a good answer.
    Cut,
}

/// Listens on a port of its own.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

struct State {
    upstream: u16,
    fault: Mutex<Fault>,
    /// Only calls with this in their path meet the fault.
    path: Mutex<&'static str>,
    calls: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn to(upstream: u16) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream,
            fault: Mutex::new(Fault::None),
            path: Mutex::new(""),
            calls: AtomicUsize::new(0),
        });
        let proxy = Self { port, state: state.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(handle(stream, state.clone()));
            }
        });
        proxy
    }

    pub(crate) fn fault(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    /// As [`Self::fault`], for calls with this at the end of their path alone.
    pub(crate) fn fault_at(&self, path: &'static str, fault: Fault) {
        *self.state.path.lock().unwrap() = path;
        self.fault(fault);
    }

    /// Calls of the transit engine since this was asked last.
    pub(crate) fn take_calls(&self) -> usize {
        self.state.calls.swap(0, Ordering::SeqCst)
    }
}

/// One request a connection.
async fn handle(mut client: TcpStream, state: Arc<State>) {
    let Some(request) = read_request(&mut client).await else { return };
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    state.calls.fetch_add(usize::from(contains(line, b"/v1/transit/")), Ordering::SeqCst);
    let path = format!("{} HTTP", *state.path.lock().unwrap());
    let fault = if contains(line, path.as_bytes()) { *state.fault.lock().unwrap() } else { Fault::None };
    let answer = match fault {
        Fault::None => return forward(client, &request, state.upstream).await,
        Fault::Reset => return client.set_zero_linger().unwrap(),
        Fault::Hang => return sleep(Duration::from_secs(600)).await,
        Fault::Status(status, retry_after) => {
            let retry_after = retry_after.map_or(String::new(), |seconds| format!("Retry-After: {seconds}\r\n"));
            let body = r#"{"errors":["spoilt"]}"#;
            format!(
                "HTTP/1.1 {status} Spoilt\r\n{retry_after}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Fault::Garbage => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<html>...".into(),
        Fault::Cut => "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\":{\"plaintext\":\"".into(),
    };
    let _gone = client.write_all(answer.as_bytes()).await;
    let _gone = client.shutdown().await;
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Head and body, as far as `Content-Length` says.
async fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if request.len() >= end + 4 + length {
            return Some(request);
        }
    }
}

/// Passes a request on; the provider closes the connection when it has answered.
async fn forward(mut client: TcpStream, request: &[u8], upstream: u16) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    let line = request.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let request = [&request[..line], b"Connection: close\r\n", &request[line..]].concat();
    server.write_all(&request).await.unwrap();
    let _gone = copy(&mut server, &mut client).await;
}
