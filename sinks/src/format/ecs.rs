//! Elastic Common Schema 8.11.

use super::claims::{Claims, Counts, Test, actor, address, outcome, summary};
use super::{Source, Tally, cef, json};
use crate::Message;
use crate::taxonomy::{Action, Object, Taxonomy};
use audit::event::Field;
use serde::Serialize;
use std::net::IpAddr;

const VERSION: &str = "8.11.0";

pub(super) fn event(message: &Message, source: &Source<'_>) -> Vec<u8> {
    let event = &source.opened.event;
    let taxonomy = Taxonomy::of(event.kind);
    let text = |field| event.text(field);
    let outcome = outcome(event);
    let mut document = Document::new(message, summary(event), Claims::of(source));
    document.event.kind = if taxonomy.object == Object::Finding { "alert" } else { "event" };
    document.event.category = [category(taxonomy.object)];
    document.event.r#type = [event_type(taxonomy)];
    document.event.outcome = outcome;
    document.event.reason = Some(event.outcome.as_str()).filter(|_| outcome == Some("failure"));
    document.event.sequence = Some(source.index);
    let target = text(Field::Actor).and(text(Field::User)).map(|id| Id { id });
    let related = [text(Field::Actor), text(Field::User)].into_iter().flatten().collect();
    document.user = actor(event).map(|id| User { id, target });
    document.source = text(Field::Ip).map(|text| Address { address: text, ip: address(event) });
    document.device = text(Field::Device).map(|id| Id { id });
    document.user_agent = text(Field::Agent).map(|original| UserAgent { original });
    document.rule = Some(Id { id: event.outcome.as_str() }).filter(|_| taxonomy.object == Object::Finding);
    document.related = Related { user: related, ip: address(event).into_iter().collect() };
    json(&document)
}

pub(super) fn checkpoint(message: &Message, tally: &Tally<'_>) -> Vec<u8> {
    let mut document = Document::new(message, message.name.into(), Counts::of(tally));
    document.event.kind = "state";
    json(&document)
}

pub(super) fn test(message: &Message) -> Vec<u8> {
    json(&Document::new(message, message.name.into(), Test { test: true }))
}

fn category(object: Object) -> &'static str {
    match object {
        Object::Record | Object::Restore | Object::Rewrap => "api",
        Object::User | Object::Device | Object::EnrolmentCode | Object::Token => "iam",
        Object::Log | Object::Tenant | Object::Kek | Object::Policy => "configuration",
        Object::Finding => "intrusion_detection",
    }
}

/// One of the types that the schema expects for the category: those differ in whether reading is one.
fn event_type(Taxonomy { object, action, .. }: Taxonomy) -> &'static str {
    match action {
        Action::Create | Action::Enroll | Action::Start if object != Object::Finding => "creation",
        Action::Read | Action::Export if category(object) != "iam" => "access",
        Action::Delete | Action::Unenroll => "deletion",
        Action::Update
        | Action::Enable
        | Action::Disable
        | Action::Activate
        | Action::Deactivate
        | Action::Suspend
        | Action::Resume => "change",
        Action::Create | Action::Enroll | Action::Start | Action::Read | Action::Export | Action::Report => "info",
    }
}

#[derive(Serialize)]
struct Document<'a, C> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    ecs: Ecs,
    message: String,
    event: Event<'a>,
    organization: Id<'a>,
    observer: Observer,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Address<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Id<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<UserAgent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Id<'a>>,
    #[serde(skip_serializing_if = "Related::is_empty")]
    related: Related<'a>,
    keyfold: Keyfold<'a, C>,
}

impl<'a, C> Document<'a, C> {
    /// A document that tells of the log, and of nobody.
    fn new(message: &'a Message, summary: String, content: C) -> Self {
        Self {
            timestamp: message.time(),
            ecs: Ecs { version: VERSION },
            message: summary,
            event: Event::new(message),
            organization: Id { id: message.origin.tenant() },
            observer: Observer { vendor: "Keyfold", product: "Keyfold", version: env!("CARGO_PKG_VERSION") },
            user: None,
            source: None,
            device: None,
            user_agent: None,
            rule: None,
            related: Related::default(),
            keyfold: Keyfold { origin: message.origin.as_str(), content },
        }
    }
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    kind: &'static str,
    category: [&'static str; 1],
    r#type: [&'static str; 1],
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    module: &'static str,
    dataset: &'static str,
}

impl<'a> Event<'a> {
    fn new(message: &'a Message) -> Self {
        Self {
            id: &message.id,
            kind: "event",
            category: ["configuration"],
            r#type: ["info"],
            action: message.name,
            outcome: None,
            reason: None,
            severity: cef::severity(message.severity),
            sequence: None,
            module: "keyfold",
            dataset: "keyfold.audit",
        }
    }
}

#[derive(Serialize)]
struct Observer {
    vendor: &'static str,
    product: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Id<'a>>,
}

#[derive(Serialize)]
struct Address<'a> {
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

#[derive(Serialize)]
struct UserAgent<'a> {
    original: &'a str,
}

#[derive(Serialize, Default)]
struct Related<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ip: Vec<IpAddr>,
}

impl Related<'_> {
    fn is_empty(&self) -> bool {
        self.user.is_empty() && self.ip.is_empty()
    }
}

/// The schema's room for what is a vendor's own.
#[derive(Serialize)]
struct Keyfold<'a, C> {
    origin: &'a str,
    #[serde(flatten)]
    content: C,
}
