//! Open Cybersecurity Schema Framework 1.6.

mod activity;
mod objects;

use super::claims::{Claims, Counts, Test, summary};
use super::{Source, Tally, json};
use crate::taxonomy::{Object, Taxonomy};
use crate::{Message, Severity};
use activity::{Class, OTHER};
use audit::event::{self, Field, Outcome};
use objects::{Actor, Api, Endpoint, Entity, FindingInfo, HttpRequest, Metadata, Resource, User};
use serde::Serialize;

pub(super) fn event(message: &Message, source: &Source<'_>) -> Vec<u8> {
    let said = &source.opened.event;
    let Taxonomy { object, action, .. } = Taxonomy::of(said.kind);
    let class = Class::of(object);
    let mut event = Event::new(message, class, class.activity(action), Claims::of(source));
    event.message = summary(said);
    event.status_id = status(class, &said.outcome);
    event.status_code = Some(said.outcome.as_str());
    event.status_detail = said.text(Field::Reason);
    event.metadata.correlation_uid = said.correlation;
    match class {
        Class::EventLogActivity => event.by(said),
        Class::DetectionFinding => {
            event.finding_info = Some(FindingInfo::of(message, said));
            event.is_alert = Some(true);
        }
        Class::AccountChange => {
            event.requested(said);
            event.user = Some(User::of(said.text(Field::User)));
        }
        Class::EntityManagement => {
            event.requested(said);
            event.entity = entity(object, message, said);
        }
        Class::ApiActivity => {
            event.requested(said);
            event.api = Some(Api { operation: message.name });
            event.resources = Resource::all_of(said);
        }
    }
    json(&event)
}

pub(super) fn checkpoint(message: &Message, tally: &Tally<'_>) -> Vec<u8> {
    json(&Event::new(message, Class::EventLogActivity, OTHER, Counts::of(tally)))
}

pub(super) fn test(message: &Message) -> Vec<u8> {
    json(&Event::new(message, Class::EventLogActivity, OTHER, Test { test: true }))
}

/// Success or failure; a finding is new.
fn status(class: Class, outcome: &Outcome) -> u32 {
    if class == Class::DetectionFinding || *outcome == Outcome::OK { 1 } else { 2 }
}

fn entity<'a>(object: Object, message: &'a Message, said: &'a event::Event) -> Option<Entity<'a>> {
    match object {
        Object::Kek => Some(Entity::kek(said)),
        Object::Tenant => Some(Entity::tenant(message)),
        Object::Policy => Some(Entity::policy(said)),
        Object::Device => Some(Entity::device(said)),
        Object::EnrolmentCode => Some(Entity::enrolment_code(said)),
        Object::Log
        | Object::User
        | Object::Token
        | Object::Record
        | Object::Restore
        | Object::Rewrap
        | Object::Finding => None,
    }
}

fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
    }
}

/// The attributes of all classes in use; each event has those of its class.
#[derive(Serialize)]
struct Event<'a, C> {
    class_uid: u32,
    category_uid: u32,
    activity_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity_name: Option<&'static str>,
    type_uid: u32,
    severity_id: u32,
    /// Unix milliseconds.
    time: u64,
    message: String,
    status_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<&'a str>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_request: Option<HttpRequest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Entity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding_info: Option<FindingInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_alert: Option<bool>,
    unmapped: C,
}

impl<'a, C> Event<'a, C> {
    /// An event of the class that tells of no more than the message.
    fn new(message: &'a Message, class: Class, activity: u32, unmapped: C) -> Self {
        Self {
            class_uid: class.uid(),
            category_uid: class.uid() / 1000,
            activity_id: activity,
            activity_name: Some(message.name).filter(|_| activity == OTHER),
            type_uid: class.uid() * 100 + activity,
            severity_id: severity(message.severity),
            time: message.at_ms,
            message: message.name.to_owned(),
            status_id: 1,
            status_code: None,
            status_detail: None,
            metadata: Metadata::of(message),
            actor: None,
            src_endpoint: None,
            http_request: None,
            api: None,
            resources: Vec::new(),
            entity: None,
            user: None,
            log_name: Some(message.origin.as_str()).filter(|_| class == Class::EventLogActivity),
            finding_info: None,
            is_alert: None,
            unmapped,
        }
    }

    /// Who did it, where from, and with what.
    fn requested(&mut self, said: &'a event::Event) {
        self.by(said);
        self.http_request = HttpRequest::of(said);
    }

    /// Who did it, and where from.
    fn by(&mut self, said: &'a event::Event) {
        self.actor = Some(Actor::of(said));
        self.src_endpoint = Some(Endpoint::of(said));
    }
}
