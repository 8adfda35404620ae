//! Answers that no healthy server gives.

use crate::{CONTEXT, wrap};
use keyfold_providers::openbao::{ConnectError, OpenBao, Options};
use keyfold_providers::{Error, KeyProvider, KeyRef, Wrapped};
use secret::Secret;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Stands for no answer on a connection that stays open.
const SILENCE: &str = "silence";

/// Errors of wrap, unwrap and inspect against a server that gives `answer` to all of them.
async fn errors(answer: &str) -> [Error; 3] {
    let bao = connect_to(&server(answer, false).await, "token").await.unwrap();
    let key = KeyRef::new("first");
    let wrapped = Wrapped { bytes: b"vault:v1:AAAA".to_vec(), version: "1".to_owned() };
    [
        wrap(&bao, &key).await.unwrap_err(),
        bao.unwrap_key(&key, &wrapped, &CONTEXT).await.unwrap_err(),
        bao.inspect(&key).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn throttled() {
    for error in errors(&answer("429 Too Many Requests\r\nretry-after: 7", "")).await {
        assert!(matches!(error, Error::Throttled { retry_after: Some(after) } if after.as_secs() == 7), "{error:?}");
    }
}

#[tokio::test]
async fn unavailable() {
    let sealed = answer("503 Service Unavailable", r#"{"errors":["OpenBao is sealed"]}"#);
    let failing = answer("500 Internal Server Error\r\nretry-after: 3", "");
    let behind = answer("412 Precondition Failed", r#"{"errors":["required index state not present"]}"#);
    let whole = answer("200 OK", r#"{"data":{"plaintext":"AAAA","ciphertext":"vault:v1:AAAA"}}"#);
    let (cut, closed) = (whole[..whole.len() - 9].to_owned(), String::new());
    for answer in [sealed, failing, behind, cut, closed] {
        for error in errors(&answer).await {
            assert!(matches!(error, Error::Unavailable { .. }), "{answer}: {error:?}");
        }
    }
}

#[tokio::test]
async fn broken() {
    let no_json = answer("200 OK", "<html>");
    let other_json = answer("200 OK", r#"{"data":{"plaintext":"*","ciphertext":"*"}}"#);
    let healthy = r#"{"data":{"plaintext":"AAAA","ciphertext":"vault:v1:AAAA"}}"#;
    let endless = answer("200 OK", &(healthy.to_owned() + &" ".repeat(100_000)));
    let redirect = answer("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", "");
    let no_mount = answer("404 Not Found", r#"{"errors":["no handler for route"]}"#);
    let of_a_proxy = answer("404 Not Found", "<html>");
    let unknown = answer("400 Bad Request", r#"{"errors":["whatever"]}"#);
    for answer in [no_json, other_json, endless, redirect, no_mount, of_a_proxy, unknown] {
        for error in errors(&answer).await {
            assert!(matches!(error, Error::Broken(_)), "{answer:.100}: {error:?}");
        }
    }
}

/// A server that claims to have opened what it cannot have opened.
#[tokio::test]
async fn lying() {
    let [_, unwrapped, _] = errors(&answer("200 OK", r#"{"data":{"plaintext":"AAAA"}}"#)).await;
    assert!(matches!(unwrapped, Error::Mismatch), "{unwrapped:?}");
}

#[tokio::test]
async fn silent() {
    let bao = connect_to(&server(SILENCE, false).await, "token").await.unwrap();
    let start = Instant::now();
    let error = bao.inspect(&KeyRef::new("first")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(12), "a call ends at its deadline");
}

pub(crate) async fn connect_to(address: &str, token: &str) -> Result<OpenBao, ConnectError> {
    let (address, mount) = (address.to_owned(), "transit".to_owned());
    OpenBao::connect(Options {
        address,
        mount,
        namespace: None,
        token: Secret::copied_from(token.as_bytes()),
        ca_pem: None,
    })
    .await
}

/// An HTTP answer; `status` may carry headers.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Gives `answer` to each request, except (unless `to_all`) to the question how long the token lives; its address.
pub(crate) async fn server(answer: &str, to_all: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer.clone(), to_all));
        }
    });
    address
}

/// One request, one answer, closed.
async fn serve(mut stream: TcpStream, fault: String, to_all: bool) {
    let mut request = vec![0; 8192];
    let len = stream.read(&mut request).await.unwrap();
    let lookup = request[..len].windows(11).any(|window| window == b"lookup-self");
    let healthy = answer("200 OK", r#"{"data":{"ttl":0,"renewable":false}}"#);
    let answer = if lookup && !to_all { healthy } else { fault };
    if answer == SILENCE {
        sleep(Duration::from_secs(60)).await;
    }
    // Whoever refuses to read an endless answer hangs up.
    let _ = stream.write_all(answer.as_bytes()).await;
}
