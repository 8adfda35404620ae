//! Whom the broker may be made to connect to: whoever configures a sink must not reach what only the broker can reach.

use super::Network;
use super::special::{canonical, is_metadata, is_public};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::IpAddr;
use std::sync::Arc;
use thiserror::Error;
use url::Host;

/// Why an address is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// It is no URL with a host.
    #[error("the address is not a URL")]
    NoUrl,
    /// Events would cross a network in clear.
    #[error("the address must begin with https://, other than http:// with a literal loopback address that is allowed")]
    Insecure,
    /// A credential would be seen in logs and in the operator's view.
    #[error("the address may not contain a user or a password")]
    Credentials,
    /// The host is a literal address that is private or otherwise special, and not in the list of allowed networks.
    #[error("the address is private or otherwise special; list its network to allow it")]
    Forbidden(#[from] ForbiddenAddress),
}

/// An address that is private or otherwise special, and not in the list of allowed networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the receiver's address is not allowed")]
pub struct ForbiddenAddress;

/// Which addresses may be connected to.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    allow: Arc<[Network]>,
}

impl Guard {
    pub(super) fn new(allow: &[Network]) -> Self {
        Self { allow: allow.into() }
    }

    /// What can be said of a URL before its name is resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), AddressError> {
        let host = url.host().ok_or(AddressError::NoUrl)?;
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
            Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
        };
        let secure = match url.scheme() {
            "https" => true,
            "http" => literal.is_some_and(|address| canonical(address).is_loopback()),
            _ => false,
        };
        if !secure {
            return Err(AddressError::Insecure);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if literal.is_some_and(|address| !self.permits(address)) {
            return Err(ForbiddenAddress.into());
        }
        Ok(())
    }

    /// Public, or in a network that is allowed. A wide network does not open a metadata service by accident.
    fn permits(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        let listed = |net: &Network| net.contains(&address);
        if is_metadata(address) {
            let own = |net: &Network| net.prefix_len() == net.max_prefix_len();
            return self.allow.iter().any(|net| own(net) && listed(net));
        }
        is_public(address) || self.allow.iter().any(listed)
    }
}

/// Resolves names to the addresses that a [`Guard`] permits. The connection is made to what this returns, so a name that
/// resolves differently the next moment changes nothing.
pub(super) struct GuardedNames<R> {
    pub(super) names: Arc<R>,
    pub(super) guard: Guard,
}

impl<R: Resolve + 'static> Resolve for GuardedNames<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolving, guard) = (self.names.resolve(name), self.guard.clone());
        Box::pin(async move {
            let (permitted, forbidden): (Vec<_>, Vec<_>) = resolving.await?.partition(|to| guard.permits(to.ip()));
            if permitted.is_empty() && !forbidden.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The system's names.
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's.
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
