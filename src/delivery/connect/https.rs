//! Receivers over HTTPS: from configuration to options, with secrets and certificates read.

use super::Failure;
use crate::config::Config;
use crate::config::sink::https::{Elasticsearch, ElasticsearchLogin, Splunk, Webhook};
use sinks::elasticsearch::{self, ElasticsearchSink, Login};
use sinks::splunk::{self, SplunkSink};
use sinks::webhook::{self, WebhookSink};
use std::time::Duration;

pub(super) fn webhook(config: &Config, webhook: &Webhook) -> Result<WebhookSink, Failure> {
    let sink = WebhookSink::open(&webhook::Options {
        url: webhook.url.clone(),
        keys: webhook.keys.iter().map(|key| config.secret(key)).collect::<Result<_, _>>()?,
        max_messages: webhook.max_messages.max(1),
        connection: config.connection(&webhook.connection)?,
    })?;
    for key in sink.public_keys() {
        tracing::info!(key, "receivers of a webhook may verify it with this key");
    }
    Ok(sink)
}

pub(super) fn splunk(config: &Config, splunk: &Splunk, deadline: Duration) -> Result<SplunkSink, Failure> {
    Ok(SplunkSink::open(splunk::Options {
        url: splunk.url.clone(),
        token: config.secret(&splunk.token)?,
        index: splunk.index.clone(),
        sourcetype: splunk.sourcetype.clone(),
        acknowledgement: splunk.acknowledgement.then_some(deadline),
        connection: config.connection(&splunk.connection)?,
    })?)
}

pub(super) fn elasticsearch(config: &Config, options: &Elasticsearch) -> Result<ElasticsearchSink, Failure> {
    let login = match &options.login {
        ElasticsearchLogin::ApiKey { key } => Login::ApiKey(config.secret(key)?),
        ElasticsearchLogin::Basic { user, password } => {
            Login::Basic { user: user.clone(), password: config.secret(password)? }
        }
    };
    Ok(ElasticsearchSink::open(&elasticsearch::Options {
        url: options.url.clone(),
        target: options.target.clone(),
        login,
        connection: config.connection(&options.connection)?,
    })?)
}
