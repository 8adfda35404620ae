//! Whom the broker tells at once, and how a notice waits until it is sent: sealed, in the database, from the transaction of
//! the event that it tells of.

use crate::clock::Timestamp;
use crate::keys::Keys;
use crate::store::notices::SealedNotice;
use notices::{Address, Envelope, Notice, Recipient, Time};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The channel of all mails.
pub const MAIL: &str = "mail";

/// The ways by which people are told. Without any, nothing is kept to be told.
#[derive(Debug, Default)]
pub struct Outbox {
    mail: bool,
    /// Each webhook, with the only tenants that it is told of.
    webhooks: Vec<(String, Option<BTreeSet<String>>)>,
}

/// What is to be told, and of whom.
#[derive(Debug)]
pub struct Told<'a> {
    /// Whose affair it is.
    pub tenant: &'a str,
    /// Whom it is about; empty where it is about nobody.
    pub user: &'a str,
    /// The people to be told by mail, each by one of their own.
    pub emails: &'a [Address],
    /// What.
    pub notice: Notice,
}

impl Outbox {
    /// Mails, where `mail`, and these webhooks.
    #[must_use]
    pub fn new(mail: bool, webhooks: Vec<(String, Option<BTreeSet<String>>)>) -> Self {
        Self { mail, webhooks }
    }

    /// Whether anybody is told of this tenant's affairs.
    #[must_use]
    pub fn is_used(&self, tenant: &str) -> bool {
        self.mail || self.hooks_of(tenant).next().is_some()
    }

    /// One sealed notice for each recipient, to be stored with the event that it tells of.
    #[must_use]
    pub fn seal(&self, keys: &Keys, told: &Told<'_>, now: Timestamp) -> Vec<SealedNotice> {
        let mails = told.emails.iter().filter(|_| self.mail).map(|address| Recipient::Mail(address.clone()));
        let hooks = self.hooks_of(told.tenant).map(|name| Recipient::Webhook(name.to_owned()));
        mails.chain(hooks).map(|to| sealed(keys, told, to, now)).collect()
    }

    fn hooks_of(&self, tenant: &str) -> impl Iterator<Item = &str> {
        let told = move |only: &Option<BTreeSet<String>>| only.as_ref().is_none_or(|tenants| tenants.contains(tenant));
        self.webhooks.iter().filter(move |(_, only)| told(only)).map(|(name, _)| name.as_str())
    }
}

fn sealed(keys: &Keys, told: &Told<'_>, to: Recipient, now: Timestamp) -> SealedNotice {
    let (id, channel) = (Uuid::now_v7(), channel(&to));
    let (tenant, notice) = (told.tenant.to_owned(), told.notice.clone());
    let envelope = Envelope { id, tenant: tenant.clone(), at: Time::from_ms(now), to, notice };
    let plain = serde_json::to_vec(&envelope).expect("invariant: an envelope is JSON");
    let sealed = keys.seal_notice(&tenant, id, &plain);
    SealedNotice { id, tenant, user: told.user.to_owned(), channel, sealed, not_before: now, created_at: now }
}

fn channel(to: &Recipient) -> String {
    match to {
        Recipient::Mail(_) => MAIL.to_owned(),
        Recipient::Webhook(name) => webhook(name),
    }
}

/// The channel of a webhook.
#[must_use]
pub fn webhook(name: &str) -> String {
    format!("webhook:{name}")
}

/// The envelope in a stored notice; `None` where the row was altered.
#[must_use]
pub fn open(keys: &Keys, stored: &SealedNotice) -> Option<Envelope> {
    let plain = keys.open_notice(&stored.tenant, stored.id, &stored.sealed)?;
    serde_json::from_slice(&plain).ok()
}
