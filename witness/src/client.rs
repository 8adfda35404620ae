use crate::request::{AddCheckpoint, size};
use reqwest::{Certificate, Response, StatusCode, Url, redirect, retry};
use std::time::Duration;

/// No honest answer is longer: a size, or some signature lines.
const MAX_ANSWER: usize = 64 * 1024;

/// The log's way to one witness: one connection pool, and each request sent once.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    add_checkpoint: Url,
}

/// The witness cannot be reached by this address.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAddress {
    /// The address is no URL.
    #[error("the witness's address is not a URL")]
    NoUrl,
    /// Anyone on the way could answer in the witness's place, and freeze the log.
    #[error("the witness's address must begin with https://, other than on loopback")]
    Insecure,
    /// The authorities are no certificates, or no client can be made of them.
    #[error("the witness's certificate authorities cannot be used")]
    Authorities(#[from] reqwest::Error),
}

/// What a witness says to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Signature lines. Nothing is known of them yet: [`audit::cosignature::cosignatures`] tells whose they are.
    Cosigned(String),
    /// The newest checkpoint that it has cosigned has this size.
    Conflict(u64),
    /// The checkpoint does not continue the one that it has cosigned: there are two histories.
    Inconsistent,
}

/// Why a witness did not decide.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There was no connection, none that can be trusted, or no answer in time.
    #[error("the witness cannot be reached")]
    Unreachable(#[from] reqwest::Error),
    /// It has a trouble of its own: later it may decide.
    #[error("the witness answers {0}")]
    Unavailable(StatusCode),
    /// It does not know the log or its key, or does not take the request: only its operator, or ours, can help.
    #[error("the witness refuses the log: {0}")]
    Refused(StatusCode),
    /// The answer is none that the standard knows.
    #[error("the witness gives an answer that is none")]
    Malformed,
}

impl Client {
    /// A client for the submission prefix `address`, which trusts the authorities in `ca_pem`, or the system's without.
    /// `deadline` is for each request with its answer.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn new(address: &str, ca_pem: Option<&[u8]>, deadline: Duration) -> Result<Self, InvalidAddress> {
        let add_checkpoint = format!("{}/add-checkpoint", address.trim_end_matches('/'));
        let add_checkpoint = Url::parse(&add_checkpoint).map_err(|_| InvalidAddress::NoUrl)?;
        let loopback = matches!(add_checkpoint.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if !(add_checkpoint.scheme() == "https" || (add_checkpoint.scheme() == "http" && loopback)) {
            return Err(InvalidAddress::Insecure);
        }
        let mut http = reqwest::Client::builder()
            .timeout(deadline)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .user_agent(concat!("keyfold/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = ca_pem {
            http = http.tls_certs_only(Certificate::from_pem_bundle(pem)?);
        }
        Ok(Self { http: http.build()?, add_checkpoint })
    }

    /// Sends a checkpoint, once.
    ///
    /// # Errors
    /// [`Trouble`] when the witness did not decide.
    pub async fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<Answer, Trouble> {
        let response = self.http.post(self.add_checkpoint.clone()).body(request.to_string()).send().await?;
        match response.status() {
            StatusCode::OK => Ok(Answer::Cosigned(text(response).await?)),
            StatusCode::CONFLICT => conflict(&text(response).await?).map(Answer::Conflict).ok_or(Trouble::Malformed),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::Inconsistent),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Trouble::Unavailable(response.status())),
            status if status.is_server_error() => Err(Trouble::Unavailable(status)),
            status => Err(Trouble::Refused(status)),
        }
    }
}

fn conflict(body: &str) -> Option<u64> {
    size(body.strip_suffix('\n')?)
}

/// The whole body, where it is text of a length that an answer may have.
async fn text(mut response: Response) -> Result<String, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Trouble::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| Trouble::Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Client, InvalidAddress};
    use std::time::Duration;

    #[test]
    fn a_witness_is_asked_in_clear_on_loopback_alone() {
        let client = |address| Client::new(address, None, Duration::from_secs(1)).map(|client| client.add_checkpoint);
        assert!(matches!(client("http://witness.example"), Err(InvalidAddress::Insecure)));
        assert!(matches!(client("http://localhost.example"), Err(InvalidAddress::Insecure)));
        assert!(matches!(client("witness.example"), Err(InvalidAddress::NoUrl)));
    }
}
