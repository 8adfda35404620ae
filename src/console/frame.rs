//! What every page has around its content.

use super::assets;
use super::client::{Api, At};
use super::refusal::Refusal;
use crate::api::SignedIn;
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policies::admin::Act;

/// A page, or why there is none.
pub(super) type Answer = Result<Response, Refusal>;

/// The page of a template.
pub(super) fn page(template: &impl Template) -> Answer {
    Ok(Html(template.render().map_err(|_| Refusal::Unrenderable)?).into_response())
}

/// Where in the navigation a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// All tenants.
    Tenants,
    /// What goes on with a tenant.
    Overview,
    /// A tenant's restores.
    Restores,
    /// What keeps restores back.
    Locks,
    /// A tenant's users.
    People,
    /// A tenant's devices.
    Devices,
    /// A tenant's records.
    Records,
    /// A tenant's KEKs.
    Keks,
    /// Where a tenant's log is delivered to.
    Sinks,
    /// What looked wrong.
    Findings,
    /// A tenant's log.
    Events,
    /// What decides on a tenant's restores.
    Policies,
    /// Who administers.
    Admins,
    /// What programs administer with.
    Tokens,
    /// What is one's own.
    Account,
    /// None of them.
    Elsewhere,
}

/// What every page has around its content.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) tenant: Option<String>,
    /// Where the pages of its tenant are; those of the whole broker where there is none.
    pub(super) base: String,
    /// Who is signed in; nobody where a token asks.
    pub(super) me: Option<SignedIn>,
    /// Scripts besides the one that every page has.
    pub(super) scripts: Vec<&'static str>,
    section: Section,
}

impl Frame {
    /// Of a page of the whole broker.
    pub(super) async fn whole(api: &Api, section: Section, title: &str) -> Result<Self, Refusal> {
        let me = api.find(&At::admin(&["session"])).await?;
        Ok(Self { title: title.into(), tenant: None, base: "/console".into(), me, scripts: Vec::new(), section })
    }

    /// Of a page of a tenant.
    pub(super) async fn tenant(api: &Api, tenant: &str, section: Section, title: &str) -> Result<Self, Refusal> {
        let frame = Self::whole(api, section, title).await?;
        Ok(Self { tenant: Some(tenant.into()), base: base(tenant), ..frame })
    }

    /// Whether whoever asks may do that, as far as the API has told: tokens find out.
    pub(super) fn may(&self, act: Act) -> bool {
        self.me.as_ref().is_none_or(|me| me.acts.iter().any(|word| word == act.as_str()))
    }

    pub(super) fn asset(&self, name: &str) -> &'static str {
        assets::href(name)
    }

    /// Where whoever administers one tenant alone does so.
    pub(super) fn home(&self) -> Option<&str> {
        self.me.as_ref().map(|me| me.admin.tenant.as_str()).filter(|tenant| *tenant != INSTALLATION)
    }

    /// The pages of the tenant that may be seen, then those of the whole broker.
    pub(super) fn navigation(&self) -> Vec<Vec<Link>> {
        let link = |href: String, (section, name): (Section, &'static str)| Link {
            href,
            name,
            current: section == self.section,
        };
        let seen = TENANT_PAGES.into_iter().filter(|(_, _, _, act)| self.may(*act));
        let own = seen.map(|(section, path, name, _)| link(format!("{}{path}", self.base), (section, name)));
        let whole = link("/console".into(), (Section::Tenants, "Tenants"));
        let whole = self.home().is_none().then(|| vec![whole]);
        self.tenant.iter().map(|_| own.clone().collect()).chain(whole).collect()
    }
}

/// As the API calls the tenant of those who administer all.
const INSTALLATION: &str = "installation";

/// The pages of a tenant, in the order of the navigation, and what one needs to see each.
const TENANT_PAGES: [(Section, &str, &str, Act); 13] = [
    (Section::Overview, "", "Overview", Act::TenantsRead),
    (Section::Restores, "/restores", "Restores", Act::RestoresRead),
    (Section::Locks, "/locks", "Locks", Act::RestoresRead),
    (Section::People, "/people", "People", Act::UsersRead),
    (Section::Devices, "/devices", "Devices", Act::DevicesRead),
    (Section::Records, "/records", "Records", Act::RecordsRead),
    (Section::Keks, "/keks", "KEKs", Act::KeksRead),
    (Section::Sinks, "/sinks", "Sinks", Act::SinksRead),
    (Section::Policies, "/policies", "Policies", Act::PoliciesRead),
    (Section::Findings, "/findings", "Findings", Act::FindingsRead),
    (Section::Events, "/events", "Events", Act::LogRead),
    (Section::Admins, "/admins", "Administrators", Act::AdminsRead),
    (Section::Tokens, "/tokens", "API tokens", Act::TokensRead),
];

pub(super) struct Link {
    pub(super) href: String,
    pub(super) name: &'static str,
    pub(super) current: bool,
}

/// Where the pages of a tenant are.
pub(super) fn base(tenant: &str) -> String {
    format!("/console/tenants/{}", escaped(tenant))
}

/// What is escaped in one part of a path: all but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// As one part of a path.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
