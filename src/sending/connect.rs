//! From configuration to senders, with secrets and certificates read.

use super::channel::Way;
use crate::config::notices::{MailSecurity, MailServer, Notices, Webhook};
use crate::config::{Config, ConfigError};
use crate::outbox;
use notices::{Login, Mail, MailOptions, Security, Unusable};
use sinks::webhook::{Endpoint, OpenError};
use std::time::Duration;

/// A mail server or a webhook cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration, or a file that it names.
    #[error("`[notices]`")]
    Config(#[from] ConfigError),
    /// The mail server.
    #[error("`[notices.mail]`")]
    Mail(#[from] Unusable),
    /// A webhook.
    #[error("webhook `{name}` of `[notices]`")]
    Webhook {
        /// Which.
        name: String,
        /// Why.
        source: OpenError,
    },
}

/// Every configured way, by the name of its channel.
pub(super) fn all(config: &Config) -> Result<Vec<(String, Way)>, ConnectError> {
    let Notices { mail, webhooks } = &config.notices;
    let mail =
        mail.iter().map(|server| Ok((outbox::MAIL.to_owned(), Way::Mail(Box::new(self::mail(config, server)?)))));
    let webhooks =
        webhooks.iter().map(|hook| Ok((outbox::webhook(&hook.name), Way::Webhook(Box::new(webhook(config, hook)?)))));
    mail.chain(webhooks).collect()
}

fn mail(config: &Config, server: &MailServer) -> Result<Mail, ConnectError> {
    let login = match (&server.user, &server.password) {
        (Some(user), Some(password)) => Some(Login { user: user.clone(), password: config.secret(password)? }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(ConfigError::Invalid("`notices.mail` has both `user` and `password`, or neither").into());
        }
    };
    Ok(Mail::new(&MailOptions {
        host: server.host.clone(),
        port: server.port,
        security: security(config, server)?,
        login,
        from: server.from.clone(),
        timeout: Duration::from_secs(server.timeout_seconds.max(1)),
    })?)
}

fn security(config: &Config, server: &MailServer) -> Result<Security, ConfigError> {
    let ca_pem = server.ca.as_deref().map(|ca| config.bytes(ca)).transpose()?;
    match (server.security, ca_pem) {
        (MailSecurity::Tls, ca_pem) => Ok(Security::Tls(ca_pem)),
        (MailSecurity::Starttls, ca_pem) => Ok(Security::StartTls(ca_pem)),
        (MailSecurity::Plaintext, None) => Ok(Security::Plaintext),
        (MailSecurity::Plaintext, Some(_)) => Err(ConfigError::Invalid("`notices.mail` in `plaintext` has no `ca`")),
    }
}

fn webhook(config: &Config, hook: &Webhook) -> Result<notices::Webhook, ConnectError> {
    let keys = hook.keys.iter().map(|key| config.secret(key)).collect::<Result<Vec<_>, _>>()?;
    let endpoint = Endpoint::open(&hook.url, &keys, &config.connection(&hook.connection)?);
    let endpoint = endpoint.map_err(|source| ConnectError::Webhook { name: hook.name.clone(), source })?;
    for key in endpoint.public_keys() {
        tracing::info!(webhook = hook.name, key, "receivers of notices may verify them with this key");
    }
    Ok(notices::Webhook::new(endpoint))
}
