//! The front spoils exactly what it is told to, and passes on the rest unchanged.
#![cfg(test)]

use axum::Router;
use axum::extract::Request;
use keyfold_counterparts::front::{Fault, Front};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const REQUEST: &str = "PUT /a%2Fb?c=d HTTP/1.1\r\nhost: vault.example\r\nx-token: t\r\nconnection: close\r\n\
                       content-length: 4\r\n\r\nbody";

#[tokio::test]
async fn passes_on_what_it_is_not_told_to_spoil() {
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        let front = Front::before(&upstream(loopback).await).await;
        let answer = say(&front).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 418 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nPUT /a%2Fb?c=d vault.example t body"), "{answer}");
        let seen = front.seen();
        assert_eq!((seen.len(), front.requests()), (1, 1));
        assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("PUT", "/a%2Fb?c=d"));
        assert_eq!(seen[0].headers["x-token"], "t");
        assert_eq!(seen[0].body, "body");
    }
}

#[tokio::test]
async fn spoils_as_many_as_told() {
    let front = Front::before(&upstream("127.0.0.1:0").await).await;
    let busy = Fault::Answer { status: 429, headers: vec![("retry-after", "7")], body: "busy".to_owned() };
    front.fail(2, busy.clone());
    for (status, body) in [("429", "busy"), ("429", "busy"), ("418", "body")] {
        let answer = say(&front).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(body), "{answer}");
        assert_eq!(answer.contains("retry-after: 7\r\n"), status == "429", "{answer}");
    }
    front.fail(None, busy);
    for _ in 0..5 {
        assert!(say(&front).await.unwrap().starts_with("HTTP/1.1 429 "));
    }
    front.heal();
    assert!(say(&front).await.unwrap().starts_with("HTTP/1.1 418 "));
    assert_eq!(front.requests(), 9);
}

#[tokio::test]
async fn each_fault_is_what_it_says() {
    let front = Front::before(&upstream("127.0.0.1:0").await).await;
    let wait = Duration::from_millis(300);
    front.fail(1, Fault::Slow(wait));
    let start = Instant::now();
    assert!(say(&front).await.unwrap().starts_with("HTTP/1.1 418 "));
    assert!(start.elapsed() >= wait);

    front.fail(1, Fault::CutMidAnswer);
    let cut = say(&front).await.unwrap();
    assert!(cut.starts_with("HTTP/1.1 418 ") && cut.contains("content-length: 35\r\n"), "{cut}");
    assert!(cut.ends_with("\r\n\r\nPUT /a%2Fb?c=d va"), "{cut}");

    front.fail(1, Fault::Garbage);
    let garbage = say(&front).await;
    assert!(garbage.is_err_and(|error| error.kind() == std::io::ErrorKind::InvalidData), "no text");

    front.fail(1, Fault::Reset);
    let reset = say(&front).await;
    assert!(reset.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset), "a reset, not an end");

    front.fail(1, Fault::Hang);
    assert!(timeout(wait, say(&front)).await.is_err(), "no answer");
}

#[tokio::test]
async fn ends_with_all_connections_when_dropped() {
    let front = Front::before(&upstream("127.0.0.1:0").await).await;
    let address = front.url().replace("http://", "");
    front.fail(None, Fault::Hang);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(front);
    let ended = timeout(Duration::from_secs(2), stream.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens any more");
}

/// Sends the request on a connection of its own and reads all that comes back.
async fn say(front: &Front) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(front.url().replace("http://", "")).await?;
    stream.write_all(REQUEST.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A server that answers 418 with what it was asked; its address.
async fn upstream(loopback: &str) -> String {
    let listener = TcpListener::bind(loopback).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(async |request: Request| {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
        let body = String::from_utf8(axum::body::to_bytes(body, 100).await.unwrap().to_vec()).unwrap();
        let said = format!("{} {} {} {} {body}", head.method, head.uri, header("host"), header("x-token"));
        (axum::http::StatusCode::IM_A_TEAPOT, said)
    });
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}
