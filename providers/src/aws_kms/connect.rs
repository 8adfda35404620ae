//! From options to a KMS client: endpoints, trust, credentials, and every retry of the SDK switched off.

use super::{ConnectError, Options};
use crate::endpoint;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::identity::IdentityCache;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{
    Builder, ConfigBag, Intercept, RuntimeComponents, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_sdk_kms::error::BoxError;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::mem;
use std::time::Duration;

/// A backstop: the broker's own deadline is shorter.
const DEADLINE: Duration = Duration::from_secs(10);
/// For one connection, to KMS or to a source of credentials.
const CONNECTION: Duration = Duration::from_secs(3);
/// For all sources of credentials together; part of the call that needs them.
const CREDENTIALS: Duration = Duration::from_secs(5);
/// No answer that we ask for is longer than a few kilobytes.
const MAX_ANSWER: usize = 64 * 1024;
/// What CloudTrail shows as the name of the session under an assumed role.
const SESSION: &str = "keyfold";

/// Makes no call yet: credentials are loaded by the first call that needs them, and kept until shortly before they end.
pub(super) async fn client(options: Options) -> Result<Client, ConnectError> {
    check(&options)?;
    let base = base(&options)?;
    let identities = IdentityCache::lazy().load_timeout(CREDENTIALS).build();
    let mut config = Builder::from(&base).identity_cache(identities).interceptor(AnswerLimit);
    config.set_endpoint_url(options.endpoint.clone());
    Ok(Client::from_conf(config.credentials_provider(credentials(options, base).await).build()))
}

/// Ends the reading of an answer that is longer than any of KMS.
#[derive(Debug)]
struct AnswerLimit;

impl Intercept for AnswerLimit {
    fn name(&self) -> &'static str {
        "AnswerLimit"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let limited = Limited::new(mem::replace(body, SdkBody::taken()), MAX_ANSWER);
        *body = SdkBody::from_body_1_x(limited);
        Ok(())
    }
}

fn check(options: &Options) -> Result<(), ConnectError> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if options.region.is_empty() || !options.region.chars().all(word) {
        return Err(ConnectError::Region);
    }
    let endpoints: Vec<_> = [&options.endpoint, &options.sts_endpoint].into_iter().flatten().collect();
    if options.fips && !endpoints.is_empty() {
        return Err(ConnectError::FipsEndpoint);
    }
    if options.role_arn.is_none() && (options.external_id.is_some() || options.sts_endpoint.is_some()) {
        return Err(ConnectError::NoRole);
    }
    for address in endpoints {
        endpoint::parse(address)?;
    }
    Ok(())
}

/// What KMS and STS have in common. Made by hand, so that nothing in the environment can lead calls elsewhere.
fn base(options: &Options) -> Result<SdkConfig, ConnectError> {
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(options.region.clone()))
        .use_fips(options.fips)
        .http_client(http_client(options.ca_pem.as_deref())?)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .time_source(SystemTimeSource::new())
        // A wrong clock has to show, not to be worked around: leases and approvals depend on it too.
        .disable_clock_skew_correction(true)
        // The deadline covers what it would find.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build())
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECTION).operation_timeout(DEADLINE).build()
}

/// rustls on aws-lc-rs, without proxies; redirects are not followed.
fn http_client(ca_pem: Option<&[u8]>) -> Result<SharedHttpClient, ConnectError> {
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    let Some(ca_pem) = ca_pem else { return Ok(builder.build_https()) };
    check_authorities(ca_pem)?;
    let trust = TrustStore::empty().with_pem_certificate(ca_pem);
    let context = TlsContext::builder().with_trust_store(trust).build().map_err(ConnectError::Tls)?;
    Ok(builder.tls_context(context).build_https())
}

/// The SDK panics over what it cannot read, so it gets only what can be read.
fn check_authorities(pem: &[u8]) -> Result<(), ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| ConnectError::Authorities)?;
        roots.add(certificate).map_err(|_| ConnectError::Authorities)?;
    }
    if roots.is_empty() { Err(ConnectError::Authorities) } else { Ok(()) }
}

/// The default chain; where there is a role, the chain's credentials are only used to assume it.
async fn credentials(options: Options, base: SdkConfig) -> SharedCredentialsProvider {
    let sources = ProviderConfig::default()
        .with_region(base.region().cloned())
        .with_use_fips(base.use_fips())
        .with_retry_config(RetryConfig::disabled())
        .with_timeout_config(timeouts());
    let sources = match base.http_client() {
        Some(http_client) => sources.with_http_client(http_client),
        None => sources,
    };
    let chain = DefaultCredentialsChain::builder().region(Region::new(options.region)).configure(sources).build().await;
    let Some(role) = options.role_arn else { return SharedCredentialsProvider::new(chain) };
    let mut sts = base.into_builder();
    sts.set_endpoint_url(options.sts_endpoint);
    let role = AssumeRoleProvider::builder(role).configure(&sts.build()).session_name(SESSION);
    let role = match options.external_id {
        Some(id) => role.external_id(id),
        None => role,
    };
    SharedCredentialsProvider::new(role.build_from_provider(chain).await)
}
