//! Where secrets may be sent: one rule for all vendors that are reached over HTTP.

use reqwest::Url;
use thiserror::Error;

/// Why an address is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("the address is not a URL")]
    NoUrl,
    /// Secrets would cross a network in clear.
    #[error("the address must begin with https://, other than on loopback")]
    Insecure,
}

/// Takes `https` everywhere, and `http` on loopback.
pub(crate) fn parse(address: &str) -> Result<Url, EndpointError> {
    let url = Url::parse(address).map_err(|_| EndpointError::NoUrl)?;
    let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if secure { Ok(url) } else { Err(EndpointError::Insecure) }
}

/// Whether what is sent there does not leave the machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::{EndpointError, parse};

    #[test]
    fn takes_clear_text_on_loopback_alone() {
        for address in ["https://kms.example", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost"] {
            assert!(parse(address).is_ok(), "{address}");
        }
        for address in ["http://kms.example", "http://127.0.0.1.example", "http://localhost.example", "ftp://127.0.0.1"]
        {
            assert_eq!(parse(address), Err(EndpointError::Insecure), "{address}");
        }
        assert_eq!(parse("kms"), Err(EndpointError::NoUrl));
    }
}
