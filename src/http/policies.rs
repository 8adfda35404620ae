//! The admin API: a tenant's policies, version by version.

use super::admin::{Created, Listed, Shared, limit, listed, reason};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, Page, PageQuery};
use crate::error::Error;
use crate::ops::policies::{self as ops, Changed, DryRun};
use crate::ops::restore::asked_at;
use crate::rulebook::PolicyVersion;
use ::policies::{Decision, PolicyError, library};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::encoding::{from_base64url, to_base64url};
use protocol::messages::Problem;

type One = Result<Json<api::PolicyVersion>, Error>;

/// The tenant's versions, without their texts.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/policies", tag = "policies", security(("admin" = ["policies:read"])),
    params(("tenant" = String, Path), PageQuery), operation_id = "versions",
    responses((status = 200, body = Page<api::PolicyVersion>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::PolicyVersion> {
    let after = if query.after.is_empty() { Ok(0) } else { query.after.parse() };
    let after = after.map_err(|_| Error::Malformed("`after` is no version"))?;
    let versions = ops::list(&broker, &tenant, after, limit(&query)?).await?;
    let show = |version| api::PolicyVersion { text: None, ..shown(version) };
    listed(versions, &query, |version| version.version.to_string(), show)
}

/// One version, with its text.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/policies/{version}", tag = "policies",
    security(("admin" = ["policies:read"])), params(("tenant" = String, Path), ("version" = u64, Path)),
    operation_id = "version",
    responses((status = 200, body = api::PolicyVersion), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn show(State(broker): Shared, InPath((tenant, version)): InPath<(String, u64)>) -> One {
    Ok(Json(shown(ops::find(&broker, (&tenant, version)).await?)))
}

/// The policies in force.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/policies/in-force", tag = "policies",
    security(("admin" = ["policies:read"])), params(("tenant" = String, Path)), operation_id = "in_force",
    responses((status = 200, body = api::PolicyInForce), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn in_force(
    State(broker): Shared,
    InPath(tenant): InPath<String>,
) -> Result<Json<api::PolicyInForce>, Error> {
    crate::ops::admin::require_tenant(&broker, &tenant).await?;
    let rules = broker.policies.in_force(&tenant).await?;
    let always = rules.set.full_text().strip_suffix(rules.set.text()).unwrap_or_default();
    Ok(Json(api::PolicyInForce {
        version: rules.version,
        digest: to_base64url(&rules.digest),
        text: rules.set.text().into(),
        always: always.trim_end().into(),
        schema: rules.set.schema().into(),
    }))
}

/// Ready policies, to begin with.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/policies/library", tag = "policies",
    security(("admin" = ["policies:read"])), params(("tenant" = String, Path)), operation_id = "library",
    responses((status = 200, body = api::PolicyLibrary), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn ready(_: Admin) -> Json<api::PolicyLibrary> {
    let show = |ready: &::policies::ReadyPolicies| api::ReadyPolicies {
        name: ready.name.into(),
        description: ready.description(),
        text: ready.text.into(),
    };
    Json(api::PolicyLibrary { items: library().iter().map(show).collect() })
}

/// Reads a text as if it were to be put in force: tells the first mistake, with line and column.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies/validate", tag = "policies",
    security(("admin" = ["policies:write"])), params(("tenant" = String, Path)), request_body = api::ValidatePolicy,
    operation_id = "validate",
    responses((status = 200, body = api::PolicyValidated), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn validate(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::ValidatePolicy>,
) -> Result<Json<api::PolicyValidated>, Error> {
    let validated = match ops::validate(&broker, &tenant, ask.text).await {
        Ok(judged) => api::PolicyValidated {
            digest: Some(to_base64url(&judged.digest)),
            nowhere_weaker: judged.nowhere_weaker,
            mistake: None,
        },
        Err(Error::PolicyText(error)) => {
            api::PolicyValidated { digest: None, nowhere_weaker: false, mistake: Some(mistake(&error)) }
        }
        Err(error) => return Err(error),
    };
    Ok(Json(validated))
}

fn mistake(error: &PolicyError) -> api::PolicyMistake {
    let PolicyError { policy, line, column, problem } = error;
    api::PolicyMistake { policy: policy.clone(), line: *line, column: *column, message: problem.to_string() }
}

/// Tells what a text would have meant for the restores of the last days.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies/dry-run", tag = "policies",
    security(("admin" = ["policies:write"])), params(("tenant" = String, Path)), request_body = api::TryPolicy,
    operation_id = "dry_run",
    responses((status = 200, body = api::PolicyTried), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn dry_run(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::TryPolicy>,
) -> Result<Json<api::PolicyTried>, Error> {
    if !(1..=90).contains(&ask.days) {
        return Err(Error::Malformed("`days` is not 1 to 90"));
    }
    crate::ops::admin::require_tenant(&broker, &tenant).await?;
    let text = match (ask.text, ask.version) {
        (Some(text), None) => text,
        (None, Some(version)) => ops::find(&broker, (&tenant, version)).await?.text,
        (None, None) | (Some(_), Some(_)) => return Err(Error::Malformed("give a `text` or a `version`")),
    };
    Ok(Json(tried(ops::dry_run(broker, tenant, (text, ask.days)).await?)))
}

/// Keeps a text as the tenant's next version. Nothing follows from it until it is proposed and activated.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies", tag = "policies", security(("admin" = ["policies:write"])),
    params(("tenant" = String, Path)), request_body = api::DraftPolicy, operation_id = "draft",
    responses((status = 201, body = api::PolicyVersion), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn draft(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::DraftPolicy>,
) -> Created<api::PolicyVersion> {
    detached(async move {
        let note = reason(&ask.note).map_err(|_| Error::Malformed("`note` is not 1 to 512 printable bytes"))?;
        let made = (text(ask.text, &ask.library)?, note.as_str().to_owned());
        Ok((StatusCode::CREATED, Json(shown(ops::draft(&broker, &caller, &tenant, made).await?))))
    })
    .await
}

fn text(own: Option<String>, names: &[String]) -> Result<String, Error> {
    if own.is_none() && names.is_empty() {
        return Err(Error::Malformed("give a `text` or names of the `library`"));
    }
    let ready = |name: &String| library().iter().find(|ready| ready.name == name).map(|ready| ready.text.to_owned());
    let ready: Option<Vec<String>> = names.iter().map(ready).collect();
    let ready = ready.ok_or(Error::Malformed("`library` has a name that is none of the library"))?;
    Ok(own.into_iter().chain(ready).collect::<Vec<_>>().join("\n"))
}

/// Asks that a draft be put in force. Another person has to activate it.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies/{version}/propose", tag = "policies",
    security(("admin" = ["policies:propose"])), params(("tenant" = String, Path), ("version" = u64, Path)),
    request_body = api::PolicySeen, operation_id = "propose",
    responses((status = 200, body = api::PolicyVersion), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn propose(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, version)): InPath<(String, u64)>,
    Body(ask): Body<api::PolicySeen>,
) -> One {
    detached(
        async move { Ok(Json(shown(ops::propose(&broker, &caller, (&tenant, version), digest(&ask.digest)?).await?))) },
    )
    .await
}

/// Puts in force what another person proposed: at once where it is nowhere weaker, else after the delay.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies/{version}/activate", tag = "policies",
    security(("admin" = ["policies:activate"])), params(("tenant" = String, Path), ("version" = u64, Path)),
    request_body = api::PolicySeen, operation_id = "activate",
    responses((status = 200, body = api::PolicyVersion), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn activate(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, version)): InPath<(String, u64)>,
    Body(ask): Body<api::PolicySeen>,
) -> One {
    detached(async move {
        Ok(Json(shown(ops::activate(&broker, &caller, (&tenant, version), digest(&ask.digest)?).await?)))
    })
    .await
}

/// Withdraws a version that is not in force yet.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies/{version}/withdraw", tag = "policies",
    security(("admin" = ["policies:propose"])), params(("tenant" = String, Path), ("version" = u64, Path)),
    operation_id = "withdraw",
    responses((status = 200, body = api::PolicyVersion), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn withdraw(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, version)): InPath<(String, u64)>,
) -> One {
    detached(async move { Ok(Json(shown(ops::withdraw(&broker, &caller, (&tenant, version)).await?))) }).await
}

/// Goes back to the policies that those in force have replaced: at once where these are nowhere weaker, else another person
/// has to activate them.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/policies/roll-back", tag = "policies",
    security(("admin" = ["policies:activate"])), params(("tenant" = String, Path)), operation_id = "roll_back",
    responses((status = 200, body = api::PolicyVersion), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn roll_back(State(broker): Shared, Admin(caller): Admin, InPath(tenant): InPath<String>) -> One {
    detached(async move { Ok(Json(shown(ops::roll_back(&broker, &caller, &tenant).await?))) }).await
}

fn digest(text: &str) -> Result<[u8; 32], Error> {
    let bytes = from_base64url(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(Error::Malformed("`digest` is not 32 bytes in base64url"))
}

fn shown(version: PolicyVersion) -> api::PolicyVersion {
    api::PolicyVersion {
        version: version.version,
        state: version.state.as_str().into(),
        digest: to_base64url(&version.digest),
        note: version.note,
        made_by: version.made_by,
        proposed_by: version.proposed_by,
        activated_by: version.activated_by,
        replaces: version.replaces,
        undoes: version.undoes,
        effective_at: version.effective_at,
        created_at: version.created_at,
        cor: version.id,
        text: Some(version.text),
    }
}

fn tried(run: DryRun) -> api::PolicyTried {
    api::PolicyTried {
        looked_at: run.looked_at,
        complete: run.complete,
        refused: run.refused,
        needs_more: run.needs_more,
        needs_less: run.needs_less,
        allowed: run.allowed,
        changed: run.changed.into_iter().map(changed).collect(),
    }
}

fn changed(Changed { restore, now, then }: Changed) -> api::RestoreTried {
    api::RestoreTried {
        asked_at: asked_at(&restore),
        restore: restore.id,
        user: restore.user,
        device: restore.device,
        state: restore.state.as_str().into(),
        now: decision(now),
        then: decision(then),
    }
}

fn decision(decision: Decision) -> api::PolicyDecision {
    let Decision { allowed, determined_by, needs } = decision;
    api::PolicyDecision {
        allowed,
        policies: determined_by,
        approvals: needs.approvals,
        own_device: needs.own_device,
        delay_seconds: needs.delay_seconds,
    }
}
