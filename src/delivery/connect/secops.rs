use super::Failure;
use crate::config::Config;
use crate::config::sink::secops::Secops;
use sinks::secops::{Access, Options, SecopsSink};

pub(super) fn open(config: &Config, secops: &Secops) -> Result<SecopsSink, Failure> {
    let file = secops.credentials.as_ref().map(|source| config.secret(source)).transpose()?;
    let options = Options {
        project: secops.project.clone(),
        location: secops.location.clone(),
        instance: secops.instance.clone(),
        log_type: secops.log_type.clone(),
        forwarder: secops.forwarder.clone(),
        endpoint: secops.endpoint.clone(),
        access: file.map_or(Access::ApplicationDefault, Access::File),
        connection: config.connection(&secops.connection)?,
    };
    Ok(SecopsSink::open(options)?)
}
