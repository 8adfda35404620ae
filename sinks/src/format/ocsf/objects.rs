use crate::format::claims::{actor, address};
use crate::{Message, Place};
use audit::event::{Event, Field};
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Stands for an identifier that the schema demands and that this sink may not see, or that the event does not have: the
/// log does not tell these apart.
const WITHHELD: &str = "withheld";

#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    version: &'static str,
    product: Product,
    uid: &'a str,
    event_code: &'static str,
    log_name: &'a str,
    tenant_uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_uid: Option<Uuid>,
}

impl<'a> Metadata<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        Self {
            version: "1.6.0",
            product: Product { name: "Keyfold", vendor_name: "Keyfold", version: env!("CARGO_PKG_VERSION") },
            uid: &message.id,
            event_code: message.name,
            log_name: message.origin.as_str(),
            tenant_uid: message.origin.tenant(),
            sequence: match message.place {
                Place::Event(index) => Some(index),
                Place::Checkpoint(_) | Place::Test => None,
            },
            correlation_uid: None,
        }
    }
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
pub(super) struct Actor<'a> {
    user: User<'a>,
}

impl<'a> Actor<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        Self { user: User::of(actor(event)) }
    }
}

#[derive(Serialize)]
pub(super) struct User<'a> {
    uid: &'a str,
}

impl<'a> User<'a> {
    pub(super) fn of(uid: Option<&'a str>) -> Self {
        Self { uid: uid.unwrap_or(WITHHELD) }
    }
}

#[derive(Serialize)]
pub(super) struct Endpoint<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

impl<'a> Endpoint<'a> {
    /// The device that asked, if any did.
    pub(super) fn of(event: &'a Event) -> Self {
        Self { uid: event.text(Field::Device).unwrap_or(WITHHELD), ip: address(event) }
    }
}

#[derive(Serialize)]
pub(super) struct HttpRequest<'a> {
    user_agent: &'a str,
}

impl<'a> HttpRequest<'a> {
    pub(super) fn of(event: &'a Event) -> Option<Self> {
        event.text(Field::Agent).map(|user_agent| Self { user_agent })
    }
}

#[derive(Serialize)]
pub(super) struct Api {
    pub(super) operation: &'static str,
}

#[derive(Serialize)]
pub(super) struct Resource<'a> {
    r#type: &'static str,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl<'a> Resource<'a> {
    /// The record and the KEK, as far as they are known.
    pub(super) fn all_of(event: &'a Event) -> Vec<Self> {
        let record = event.text(Field::Record).map(|uid| Self { r#type: "record", uid, version: None });
        let kek = event.kek.as_ref();
        let kek = kek.map(|kek| Self { r#type: "KEK", uid: &kek.id, version: Some(kek.version.to_string()) });
        record.into_iter().chain(kek).collect()
    }
}

/// What an event of Entity Management is about.
#[derive(Serialize)]
pub(super) struct Entity<'a> {
    type_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl<'a> Entity<'a> {
    pub(super) fn device(event: &'a Event) -> Self {
        Self { type_id: 1, r#type: None, uid: event.text(Field::Device).unwrap_or(WITHHELD), version: None }
    }

    pub(super) fn tenant(message: &'a Message) -> Self {
        Self { type_id: 4, r#type: None, uid: message.origin.tenant(), version: None }
    }

    pub(super) fn policy(event: &'a Event) -> Self {
        Self { type_id: 5, r#type: None, uid: event.text(Field::Policy).unwrap_or(WITHHELD), version: None }
    }

    pub(super) fn kek(event: &'a Event) -> Self {
        let (uid, version) =
            event.kek.as_ref().map_or((WITHHELD, None), |kek| (&kek.id, Some(kek.version.to_string())));
        Self { type_id: 99, r#type: Some("KEK"), uid, version }
    }

    /// An enrolment code has no name; it is known by the user that it is for.
    pub(super) fn enrolment_code(event: &'a Event) -> Self {
        let uid = event.text(Field::User).unwrap_or(WITHHELD);
        Self { type_id: 99, r#type: Some("enrolment code"), uid, version: None }
    }
}

#[derive(Serialize)]
pub(super) struct FindingInfo<'a> {
    uid: &'a str,
    title: &'a str,
    analytic: Analytic<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<&'a str>,
}

impl<'a> FindingInfo<'a> {
    /// The rule is the event's outcome, what it saw the event's reason.
    pub(super) fn of(message: &'a Message, event: &'a Event) -> Self {
        let rule = event.outcome.as_str();
        let analytic = Analytic { type_id: 1, r#type: "Rule", uid: rule };
        Self { uid: &message.id, title: rule, analytic, desc: event.text(Field::Reason) }
    }
}

#[derive(Serialize)]
struct Analytic<'a> {
    type_id: u32,
    r#type: &'static str,
    uid: &'a str,
}
