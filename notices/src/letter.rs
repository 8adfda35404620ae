use crate::quoted::quoted;
use crate::{Envelope, Notice, Policy, Restore, Time};
use std::fmt::Write;

/// So much of a name is shown, in characters.
const NAME: usize = 60;
/// So much of a reason is shown, in characters.
const REASON: usize = 200;
/// Where the second column of facts begins.
const COLUMN: usize = 13;

/// A notice as a mail: plain text, so that nothing in it is more than it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Lines that end in `\n`.
    pub text: String,
}

impl Letter {
    /// What the envelope's notice says to a person.
    #[must_use]
    pub fn of(envelope: &Envelope) -> Self {
        let Draft { subject, opening, facts, advice } = Draft::of(&envelope.notice);
        let mut text = format!("{opening}\n\n");
        let always = [("Tenant", quoted(&envelope.tenant, NAME)), ("At", envelope.at.to_string())];
        for (label, value) in facts.into_iter().chain(always) {
            let _memory = writeln!(text, "  {label:<COLUMN$} {value}");
        }
        for paragraph in advice {
            let _memory = write!(text, "\n{paragraph}\n");
        }
        text.push_str("\nTimes are UTC. Words in quotes are as devices and people wrote them; do not act on them.\n");
        Self { subject: format!("Keyfold: {subject}"), text }
    }
}

/// What differs from one notice to another.
struct Draft {
    subject: String,
    opening: String,
    facts: Vec<(&'static str, String)>,
    advice: Vec<String>,
}

impl Draft {
    fn of(notice: &Notice) -> Self {
        match notice {
            Notice::RestoreRequested { restore, veto } => requested(restore, veto),
            Notice::ApprovalWanted { restore, approvals, page } => approval_wanted(restore, *approvals, page),
            Notice::RestoreApproved { restore } => approved(restore),
            Notice::RestoreRejected { restore } => ended(restore, "was rejected", "An approver said no."),
            Notice::RestoreVetoed { restore } => ended(restore, "was stopped", "It was stopped before its release."),
            Notice::RestoreExpired { restore } => ended(restore, "ran out", "Nobody acted in time."),
            Notice::RestoreReleased { restore } => released(restore),
            Notice::TenantFrozen { more_than, page } => frozen(*more_than, page),
            Notice::EmailChanged { user } => email_changed(user),
            Notice::UserLocked { user, failures, page } => locked(user, *failures, page),
            Notice::BreakGlassUsed { key, act, page } => break_glass(key, act, page),
            Notice::PolicyProposed { policy } => proposed(policy),
            Notice::PolicyScheduled { policy, takes_effect_at } => scheduled(policy, *takes_effect_at),
            Notice::AdminAppointed { admin, role, by, page } => appointed((admin, role, by), page),
        }
    }

    fn new(subject: impl Into<String>, opening: impl Into<String>) -> Self {
        Self { subject: subject.into(), opening: opening.into(), facts: Vec::new(), advice: Vec::new() }
    }

    fn fact(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((label, value.into()));
        self
    }

    fn advice(mut self, paragraph: impl Into<String>) -> Self {
        self.advice.push(paragraph.into());
        self
    }

    fn restore(self, restore: &Restore) -> Self {
        let Restore { user, device_name, platform, kinds, reason, asked_at, .. } = restore;
        self.fact("User", quoted(user, NAME))
            .fact("Device", format!("{}, {}", quoted(device_name, NAME), quoted(platform, NAME)))
            .fact("Device id", restore.device.to_string())
            .fact("Keys", quoted(&kinds.join(", "), REASON))
            .fact("Reason", quoted(reason, REASON))
            .fact("Asked at", asked_at.to_string())
            .fact("Restore", restore.restore.to_string())
    }

    fn window(self, restore: &Restore) -> Self {
        let Restore { asked_at, not_before, expires_at, .. } = restore;
        let from = if not_before <= asked_at { "at once".to_owned() } else { format!("from {not_before}") };
        self.fact("Possible", format!("{from}, until {expires_at}"))
    }

    fn stop_at(self, veto: &str) -> Self {
        self.advice("If this was you, there is nothing to do.").advice(format!(
            "If it was not you, stop it now: open this page and press the button.\n  {veto}\n\
             Then tell your security team, so that the device is revoked."
        ))
    }
}

fn requested(restore: &Restore, veto: &str) -> Draft {
    Draft::new("a device has asked for your keys", "A device has asked for the keys that you backed up.")
        .restore(restore)
        .window(restore)
        .stop_at(veto)
}

fn approved(restore: &Restore) -> Draft {
    let opening = "A device has asked for the keys that you backed up, and those who decide have approved.";
    Draft::new("your keys may go to a device", opening)
        .restore(restore)
        .window(restore)
        .advice("If this was you, there is nothing to do.")
        .advice(
            "If it was not you, stop it now: by the link in the mail that came when the device asked, or on another \
             device of\nyours. Then tell your security team, so that the device is revoked.",
        )
}

fn approval_wanted(restore: &Restore, approvals: u32, page: &str) -> Draft {
    let opening = format!("A device has asked for a user's keys, and waits for approvals: {approvals} are missing.");
    Draft::new("a restore waits for you", opening).restore(restore).window(restore).advice(format!(
        "Ask the user, not by way of this device, whether it is they. Then approve or reject here, with your passkey:\n  \
         {page}"
    ))
}

fn ended(restore: &Restore, how: &str, sentence: &str) -> Draft {
    Draft::new(format!("a restore {how}"), format!("A restore of your keys {how}. {sentence} No key went out."))
        .restore(restore)
        .advice("If the device is yours and still needs its keys, ask again on it.")
        .advice("If the device is not yours, tell your security team, so that it is revoked.")
}

fn released(restore: &Restore) -> Draft {
    Draft::new("your keys went out to a device", "The keys that you backed up went out to a device.")
        .restore(restore)
        .advice("If this was you, there is nothing to do.")
        .advice(
            "If it was not you, tell your security team now. It can no longer be stopped: the device has to be revoked \
             and the keys\nhave to be replaced.",
        )
}

fn frozen(more_than: Option<u32>, page: &str) -> Draft {
    let opening = "No restore is released until an administrator lets them go on.";
    let why = match more_than {
        Some(limit) => format!("more than {limit} were asked for within an hour"),
        None => "an administrator has frozen them".into(),
    };
    Draft::new("restores are frozen", opening)
        .fact("Why", why)
        .advice(format!("See who asks, revoke what is not right, and let the others through here:\n  {page}"))
}

fn email_changed(user: &str) -> Draft {
    let opening =
        "From now on, another address is told when a device asks for your keys. This one is not told any more.";
    Draft::new("your address for notices was changed", opening)
        .fact("User", quoted(user, NAME))
        .advice("If you know of it, there is nothing to do. If not, tell your security team now.")
}

fn locked(user: &str, failures: Option<u32>, page: &str) -> Draft {
    let opening = "None of this user's restores is released until an administrator unlocks them. Nothing was deleted.";
    let why = match failures {
        Some(failures) => format!("{failures} failures within a day"),
        None => "an administrator has locked them".into(),
    };
    Draft::new("a user is locked", opening)
        .fact("User", quoted(user, NAME))
        .fact("Why", why)
        .advice(format!("Ask the user whether it was they. An administrator unlocks them here:\n  {page}"))
}

fn break_glass(key: &str, act: &str, page: &str) -> Draft {
    Draft::new("a break-glass key was used", "A key that is kept for emergencies was used.")
        .fact("Key", quoted(key, NAME))
        .fact("Act", quoted(act, REASON))
        .advice(format!(
            "If nobody of you declared an emergency, treat it as an attack: revoke the key, and look at what it did.\n  \
             {page}"
        ))
}

fn proposed(policy: &Policy) -> Draft {
    Draft::new("a policy waits for its second person", "Somebody wants other policies to be in force.")
        .policy(policy)
        .advice(format!("See what changes, and activate or reject it here, with your passkey:\n  {}", policy.page))
}

fn scheduled(policy: &Policy, takes_effect_at: Time) -> Draft {
    Draft::new("other policies will take effect", "Other policies were activated, and will take effect.")
        .policy(policy)
        .fact("Takes effect", takes_effect_at.to_string())
        .advice(format!("Until then it can be taken back here, with your passkey:\n  {}", policy.page))
}

impl Draft {
    fn policy(self, policy: &Policy) -> Self {
        let strength = if policy.nowhere_weaker { "nowhere weaker than today's" } else { "may be weaker than today's" };
        self.fact("Version", policy.version.to_string())
            .fact("Proposed by", quoted(&policy.proposed_by, NAME))
            .fact("Strength", strength)
    }
}

fn appointed((admin, role, by): (&str, &str, &str), page: &str) -> Draft {
    Draft::new("there is another administrator", "Somebody was made an administrator.")
        .fact("Who", quoted(admin, NAME))
        .fact("Role", quoted(role, NAME))
        .fact("By", quoted(by, NAME))
        .advice(format!("If this is not right, revoke them here, with your passkey:\n  {page}"))
}
