//! The admin API: findings.

use super::admin::{Listed, Shared, limit, listed};
use super::request::{Admin, InPath, InQuery};
use crate::api::{self, DryRunQuery, Page, PageQuery};
use crate::broker::Broker;
use crate::error::Error;
use crate::ops;
use crate::ops::findings::{Look, Raised};
use audit::finding::{Finding, Rule, Settings};
use axum::Json;
use axum::extract::State;
use protocol::messages::Problem;

/// What was raised: read from the log.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/findings", tag = "admin", security(("admin" = ["findings:read"])), operation_id = "findings",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Page<api::Finding>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Finding> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let from = match &*query.after {
        "" => 0,
        after => after.parse::<u64>().map_err(|_| Error::Malformed("`after` is no index"))?.saturating_add(1),
    };
    let rows = ops::findings::raised(&broker, &tenant, from, limit(&query)?).await?;
    listed(rows, &query, |raised| raised.index.to_string(), shown_raised)
}

/// What the rules would have raised, over the log as it stands. Nothing is written.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/findings/dry-run", tag = "admin", security(("admin" = ["findings:read"])),
    params(("tenant" = String, Path), DryRunQuery),
    responses((status = 200, body = api::DryRun), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn dry_run(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<DryRunQuery>,
) -> Result<Json<api::DryRun>, Error> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let settings = settings(&broker, &query)?;
    let look = Look { settings, from: query.from.unwrap_or(0), to: query.to.unwrap_or(u64::MAX) };
    let seen = ops::findings::dry_run(broker, tenant, look).await?;
    let findings = seen.findings.iter().map(|(iat, finding)| shown(*iat, finding)).collect();
    Ok(Json(api::DryRun { findings, next: seen.next, complete: seen.complete }))
}

fn settings(broker: &Broker, query: &DryRunQuery) -> Result<Settings, Error> {
    match (&query.rule, query.threshold) {
        (None, None) => Ok(broker.findings.clone()),
        (None, Some(_)) => Err(Error::Malformed("a `threshold` needs a `rule`")),
        (Some(rule), threshold) => {
            let rule: Rule = rule.parse().map_err(|_| Error::Malformed("there is no such `rule`"))?;
            Ok(Settings::only(rule, threshold.unwrap_or(rule.default_threshold())))
        }
    }
}

fn shown_raised(raised: Raised) -> api::Finding {
    let Raised { index, iat, rule, correlation, finding } = raised;
    let seen = finding.as_ref().map(seen);
    api::Finding { index: Some(index), at: milliseconds(iat), rule, cor: correlation, seen }
}

fn shown(iat: u64, finding: &Finding) -> api::Finding {
    let (rule, cor) = (finding.rule.as_str().to_owned(), finding.correlation);
    api::Finding { index: None, at: milliseconds(iat), rule, cor, seen: Some(seen(finding)) }
}

fn seen(finding: &Finding) -> api::SeenByRule {
    let Finding { version, threshold, observed, .. } = *finding;
    api::SeenByRule { version, threshold, observed, events: finding.evidence.clone() }
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}
