//! Receivers over TCP: from configuration to options, with secrets and certificates read.

use super::Failure;
use crate::config::sink::tcp::{Connection, Kafka, Mechanism, Sasl, Syslog};
use crate::config::{Config, ConfigError};
use sinks::kafka::{self, KafkaSink};
use sinks::syslog::{self, SyslogSink};
use sinks::tcp::Security;

pub(super) fn syslog(config: &Config, syslog: &Syslog) -> Result<SyslogSink, Failure> {
    Ok(SyslogSink::new(syslog::Options {
        address: syslog.address.parse()?,
        security: security(config, &syslog.connection)?,
        max_message_bytes: syslog.max_message_bytes,
    })?)
}

pub(super) fn kafka(config: &Config, kafka: &Kafka) -> Result<KafkaSink, Failure> {
    if kafka.bootstrap_servers.is_empty() {
        return Err(ConfigError::Invalid("`bootstrap_servers` names no node").into());
    }
    Ok(KafkaSink::new(kafka::Options {
        bootstrap_servers: kafka.bootstrap_servers.iter().map(|server| server.parse()).collect::<Result<_, _>>()?,
        topic: kafka.topic.clone(),
        security: security(config, &kafka.connection)?,
        sasl: kafka.sasl.as_ref().map(|sasl| credentials(config, sasl)).transpose()?,
    })?)
}

fn credentials(config: &Config, sasl: &Sasl) -> Result<kafka::Sasl, ConfigError> {
    Ok(kafka::Sasl {
        mechanism: match sasl.mechanism {
            Mechanism::Plain => kafka::Mechanism::Plain,
            Mechanism::ScramSha256 => kafka::Mechanism::ScramSha256,
            Mechanism::ScramSha512 => kafka::Mechanism::ScramSha512,
        },
        username: sasl.username.clone(),
        password: config.secret(&sasl.password)?,
    })
}

fn security(config: &Config, connection: &Connection) -> Result<Security, ConfigError> {
    let Connection { ca, certificate, key, plaintext } = connection;
    if !plaintext {
        let ca_pem = ca.as_deref().map(|ca| config.bytes(ca)).transpose()?;
        let identity_pem = config.identity(certificate.as_deref(), key.as_ref())?;
        return Ok(Security::Tls { ca_pem, identity_pem });
    }
    if ca.is_some() || certificate.is_some() || key.is_some() {
        return Err(ConfigError::Invalid(
            "a `connection` with `plaintext` has neither `ca` nor `certificate` nor `key`",
        ));
    }
    Ok(Security::Plaintext)
}
