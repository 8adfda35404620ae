//! Objects in S3 or what speaks its protocol: gzip of one line an event, by name the same however often it is written.

mod credentials;
mod object;
mod put;

pub use credentials::Access;

use crate::gzip::gzip;
use crate::https::{self, AddressError, Client, Connection};
use crate::{Delivery, Limits, Message, Refused, Sink, Trouble};
use async_trait::async_trait;
use credentials::Source;
use reqwest::Url;

/// A bucket, and how objects are put there.
#[derive(Debug)]
pub struct Options {
    /// The bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// What all names begin with; a slash is not added. No two sinks may share bucket and prefix.
    pub prefix: String,
    /// `https://host[:port]`, where it is not AWS's own.
    pub endpoint: Option<String>,
    /// Whether the bucket is named in the path, not in the host.
    pub path_style: bool,
    /// Whose rights are used.
    pub access: Access,
    /// How long no one can delete an object; the bucket must have Object Lock enabled.
    pub lock: Option<Lock>,
    /// The KMS key that S3 encrypts with, by ARN or id; without one, as the bucket says.
    pub kms_key: Option<String>,
    /// Trust, client certificate, networks and time.
    pub connection: Connection,
}

/// S3 Object Lock.
#[derive(Debug, Clone, Copy)]
pub struct Lock {
    /// Who may end it early.
    pub mode: LockMode,
    /// From the time of writing.
    pub days: u16,
}

/// Who may end a lock early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody.
    Compliance,
    /// Who has the permission for it.
    Governance,
}

/// Why a bucket cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The bucket or the region has characters that no address can carry.
    #[error("the bucket or the region cannot be part of an address")]
    Name,
    /// The secret access key or the session token is not text.
    #[error("the access key is not text")]
    Key,
    /// It cannot be reached.
    #[error(transparent)]
    Connection(#[from] https::ConnectError),
}

/// Writes an object for each batch. `Ok` means that S3 has stored it, with the checksum that was sent along.
#[derive(Debug)]
pub struct S3Sink {
    client: Client,
    /// Ends where names begin.
    bucket: Url,
    region: String,
    prefix: String,
    source: Source,
    lock: Option<Lock>,
    kms_key: Option<String>,
}

impl S3Sink {
    /// Makes no call yet.
    ///
    /// # Errors
    /// [`OpenError`] where the options cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let client = Client::new(&options.connection)?;
        let bucket = client.address(&address(&options)?).map_err(https::ConnectError::from)?;
        Ok(Self {
            client,
            bucket,
            source: Source::new(options.access, &options.region)?,
            region: options.region,
            prefix: options.prefix,
            lock: options.lock,
            kms_key: options.kms_key,
        })
    }
}

#[async_trait]
impl Sink for S3Sink {
    fn delivery(&self) -> Delivery {
        Delivery::Confirmed
    }

    fn limits(&self) -> Limits {
        Limits { messages: 2_048, bytes: 8 * 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        for messages in batch.chunk_by(object::share_an_object) {
            let lines = object::lines(messages);
            let body = tokio::task::spawn_blocking(move || gzip(&lines)).await;
            let body = body.map_err(|_| Trouble::Retry { after: None })?;
            self.put(&object::key(&self.prefix, messages), body).await?;
        }
        Ok(Vec::new())
    }
}

/// Where the bucket is, with a slash at the end.
fn address(options: &Options) -> Result<String, OpenError> {
    let Options { bucket, region, .. } = options;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if [bucket, region].iter().any(|name| name.is_empty() || !name.chars().all(plain)) {
        return Err(OpenError::Name);
    }
    let endpoint = options.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let endpoint = endpoint.trim_end_matches('/');
    if options.path_style {
        return Ok(format!("{endpoint}/{bucket}/"));
    }
    let (scheme, host) = endpoint.split_once("://").ok_or(https::ConnectError::from(AddressError::NoUrl))?;
    Ok(format!("{scheme}://{bucket}.{host}/"))
}
