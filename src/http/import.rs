//! The admin API for keys that customers bring (BYOK).

use super::request::{Admin, Body, InPath, detached};
use crate::api;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::error::Error;
use crate::ops::import::Import;
use axum::Json;
use axum::extract::State;
use protocol::ceremony::{KeyName, OaepHash, Parameters, ProviderName, WrappingMechanism};
use protocol::encoding::Base64Url;
use protocol::messages::Problem;
use protocol::names::TenantId;
use providers::{ImportParameters, KeyRef};
use std::sync::Arc;

type Shared = State<Arc<Broker>>;

/// What `keyfold ceremony` needs to wrap a key for a provider.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/import-parameters", tag = "admin", security(("admin" = ["keks:write"])),
    params(("tenant" = String, Path)), request_body = api::AskImportParameters,
    responses((status = 200, body = Parameters), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn parameters(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<TenantId>,
    Body(ask): Body<api::AskImportParameters>,
) -> Result<Json<Parameters>, Error> {
    detached(async move {
        let api::AskImportParameters { provider, key } = ask;
        let given = wish((&broker, &admin), &tenant, (&provider, &key)).parameters().await?;
        Ok(Json(shown(given, tenant, (provider, key))))
    })
    .await
}

fn shown(given: ImportParameters, tenant: TenantId, (provider, key): (ProviderName, KeyName)) -> Parameters {
    let hash = match given.hash {
        providers::OaepHash::Sha1 => OaepHash::Sha1,
        providers::OaepHash::Sha256 => OaepHash::Sha256,
    };
    let mechanism = match given.mechanism {
        providers::WrappingMechanism::RsaAesKeyWrap => WrappingMechanism::RsaAesKeyWrap,
        providers::WrappingMechanism::RsaOaep => WrappingMechanism::RsaOaep,
    };
    Parameters {
        tenant,
        provider,
        key,
        wrapping_key: Base64Url(given.wrapping_key),
        mechanism,
        hash,
        token: Base64Url(given.token),
        expires_at: given.expires_at.map(|seconds| seconds.saturating_mul(1_000)),
    }
}

/// Imports the key that `keyfold ceremony` wrapped. The answer is what to register next.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/import", tag = "admin", security(("admin" = ["keks:write"])),
    params(("tenant" = String, Path)), request_body = api::ImportKek,
    responses((status = 200, body = api::RegisterKek), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn import(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<TenantId>,
    Body(ask): Body<api::ImportKek>,
) -> Result<Json<api::RegisterKek>, Error> {
    detached(async move {
        let api::ImportKek { provider, key, material, token } = ask;
        wish((&broker, &admin), &tenant, (&provider, &key)).import(&material.0, &token.0).await?;
        Ok(Json(api::RegisterKek { provider: provider.into(), key: key.into() }))
    })
    .await
}

fn wish<'a>(
    (broker, admin): (&'a Broker, &'a AdminCaller),
    tenant: &'a TenantId,
    (provider, key): (&'a ProviderName, &KeyName),
) -> Import<'a> {
    Import { broker, admin, tenant: tenant.as_str(), provider: provider.as_str(), key: KeyRef::new(key.as_str()) }
}
