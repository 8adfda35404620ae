use super::Failure;
use crate::config::Config;
use crate::config::sink::otlp::{Compression, Otlp};
use sinks::otlp::{Options, OtlpSink};

pub(super) fn open(config: &Config, otlp: &Otlp) -> Result<OtlpSink, Failure> {
    let header = |(name, value): (&String, _)| Ok((name.clone(), config.secret(value)?));
    let options = Options {
        url: otlp.url.clone(),
        headers: otlp.headers.iter().map(header).collect::<Result<_, Failure>>()?,
        gzip: otlp.compression == Compression::Gzip,
        connection: config.connection(&otlp.connection)?,
    };
    Ok(OtlpSink::open(&options)?)
}
