//! PutObject, signed with AWS Signature Version 4.

use super::{Lock, LockMode, S3Sink, object};
use crate::https::{Answer, MAX_ANSWER};
use crate::{PauseReason, Trouble};
use aws_credential_types::Credentials;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::Url;
use reqwest::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use std::time::SystemTime;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// What S3 says when the next attempt may succeed, though the status says otherwise: credentials that ended, and bodies
/// that were damaged or cut on their way.
const PASSING: [&str; 5] =
    ["ExpiredToken", "RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"];

impl S3Sink {
    /// Writes one object, or another version of it.
    pub(super) async fn put(&mut self, key: &str, body: Vec<u8>) -> Result<(), Trouble> {
        let url = format!("{}{}", self.bucket, object::path(key));
        let url = Url::parse(&url).map_err(|_| Trouble::Paused(PauseReason::Misconfigured))?;
        let credentials = self.source.credentials().await?;
        let headers = self.signed(&url, &body, credentials).ok_or(Trouble::Paused(PauseReason::Misconfigured))?;
        let request = self.client.put(url).headers(headers).body(body);
        let answer = self.client.send(request, MAX_ANSWER).await?;
        stored(answer).inspect_err(|trouble| {
            // Somebody may have replaced them meanwhile.
            if matches!(trouble, Trouble::Paused(PauseReason::Unauthorized) | Trouble::Retry { .. }) {
                self.source.forget();
            }
        })
    }

    /// All headers of the request, the signature among them; `None` where one has characters that no header can carry.
    fn signed(&self, url: &Url, body: &[u8], credentials: Credentials) -> Option<HeaderMap> {
        let sha256 = digest(&SHA256, body);
        let mut headers = self.described(&BASE64_STANDARD.encode(sha256.as_ref()))?;
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .expect("invariant: nothing that a signature needs is missing")
            .into();
        let named = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let content = SignableBody::Precomputed(hex::encode(sha256));
        let request = SignableRequest::new("PUT", url.as_str(), named, content).ok()?;
        let (instructions, _) = sign(request, &parameters).ok()?.into_parts();
        for header in instructions.into_parts().0 {
            let mut value = HeaderValue::from_str(header.value()).ok()?;
            value.set_sensitive(header.sensitive());
            headers.insert(header.name(), value);
        }
        Some(headers)
    }

    /// What the object is, and how it is kept.
    fn described(&self, sha256: &str) -> Option<HeaderMap> {
        let mut headers = vec![
            ("content-type", "application/gzip".to_owned()),
            ("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()),
            ("x-amz-checksum-sha256", sha256.to_owned()),
        ];
        if let Some(Lock { mode, days }) = self.lock {
            let mode = match mode {
                LockMode::Compliance => "COMPLIANCE",
                LockMode::Governance => "GOVERNANCE",
            };
            let until = OffsetDateTime::now_utc() + Duration::days(days.into());
            headers.push(("x-amz-object-lock-mode", mode.to_owned()));
            headers.push(("x-amz-object-lock-retain-until-date", until.truncate_to_second().format(&Rfc3339).ok()?));
        }
        if let Some(key) = &self.kms_key {
            headers.push(("x-amz-server-side-encryption", "aws:kms".to_owned()));
            headers.push(("x-amz-server-side-encryption-aws-kms-key-id", key.clone()));
        }
        let header = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
        };
        headers.into_iter().map(header).collect()
    }
}

/// What an answer means. S3 looks into no object, so no event is ever at fault: whatever else is refused is for an operator.
fn stored(answer: Answer) -> Result<(), Trouble> {
    let passing = error_code(&answer).is_some_and(|code| PASSING.contains(&code)) || answer.status == 409;
    if passing {
        return Err(Trouble::Retry { after: answer.retry_after() });
    }
    match answer.accepted() {
        // Every stored object has one; an answer without it comes from something else.
        Ok(answer) if answer.headers.contains_key(ETAG) => Ok(()),
        Ok(_) => Err(Trouble::Retry { after: None }),
        Err(Trouble::Refused(_)) => Err(Trouble::Paused(PauseReason::Misconfigured)),
        Err(trouble @ (Trouble::Retry { .. } | Trouble::Paused(_))) => Err(trouble),
    }
}

/// The code in S3's error document.
fn error_code(answer: &Answer) -> Option<&str> {
    let text = std::str::from_utf8(&answer.body).ok().filter(|_| !answer.status.is_success())?;
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}
