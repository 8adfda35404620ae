//! `[notices]`: how people are told at once of what they may have to stop.

use super::sink::https::Connection;
use super::{ConfigError, SecretSource};
use crate::outbox::Outbox;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Nobody is told anything without one of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notices {
    /// The server that takes mails.
    pub mail: Option<MailServer>,
    /// Who else is told.
    pub webhooks: Vec<Webhook>,
}

/// A server that takes mails, by SMTP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailServer {
    /// Its name, which its certificate must be for.
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// What keeps others from reading along.
    #[serde(default)]
    pub security: MailSecurity,
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// Who the broker is to it.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretSource>,
    /// The sender: `Name <local@domain>`.
    pub from: String,
    /// For one mail.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// What keeps others from reading along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// STARTTLS, or nothing is sent.
    Starttls,
    /// Nothing: to loopback addresses only.
    Plaintext,
}

/// A webhook after Standard Webhooks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name in metrics and in the journal: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// The whole address.
    pub url: String,
    /// What signs: `whsec_` secrets and `whsk_` keys.
    pub keys: Vec<SecretSource>,
    /// The only tenants whose notices it gets; without it, all.
    pub tenants: Option<BTreeSet<String>>,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

impl Notices {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !self.webhooks.iter().all(|hook| (1..=64).contains(&hook.name.len()) && hook.name.bytes().all(plain)) {
            return Err(ConfigError::Invalid("`notices.webhooks.name` must be 1 to 64 of a-z, 0-9, _ and -"));
        }
        let names: BTreeSet<_> = self.webhooks.iter().map(|hook| &hook.name).collect();
        if names.len() < self.webhooks.len() {
            return Err(ConfigError::Invalid("two webhooks of `[notices]` have one name"));
        }
        Ok(())
    }

    /// Whom the broker tells.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        let webhooks = self.webhooks.iter().map(|hook| (hook.name.clone(), hook.tenants.clone())).collect();
        Outbox::new(self.mail.is_some(), webhooks)
    }
}

fn default_port() -> u16 {
    465
}

fn default_timeout() -> u64 {
    30
}
