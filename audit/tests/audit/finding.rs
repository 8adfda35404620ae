//! One story per rule, told in leaves of a real log, and what holds for every log.

use crate::fixture::{event_key, origin};
use keyfold_audit::event::{Event, Field, Kind, Outcome};
use keyfold_audit::finding::{Detector, Finding, Rule, Settings};
use keyfold_audit::leaf::{self, Opened, Stamp};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use uuid::Uuid;

const START: u64 = 1_800_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A log that is told event by event; time passes only where the story says so.
struct Story {
    now: u64,
    boot: Uuid,
    events: Vec<Opened>,
}

impl Story {
    fn begin() -> Self {
        let opened = Event::new(Kind::LogOpened, Outcome::OK).event_key(event_key(1).public_key().clone());
        Self { now: START, boot: Uuid::from_u128(1), events: Vec::new() }.tell(&opened)
    }

    /// The event is signed into a leaf and read back, with all that it discloses.
    fn tell(self, event: &Event) -> Self {
        self.tell_disclosing(event, true)
    }

    /// What is left of an event once its person was erased.
    fn tell_erased(self, event: &Event) -> Self {
        self.tell_disclosing(event, false)
    }

    fn tell_disclosing(mut self, event: &Event, disclose: bool) -> Self {
        let stamp = Stamp { origin: origin(), boot: self.boot, at_ms: self.now * 1000 };
        let signed = event.sign(&stamp, &event_key(1));
        let disclosures = if disclose { signed.disclosures } else { Vec::new() };
        self.events.push(leaf::read(&signed.leaf, &disclosures).unwrap());
        self
    }

    fn tell_all(self, events: impl IntoIterator<Item = Event>) -> Self {
        events.into_iter().fold(self, |story, event| story.tell(&event))
    }

    fn after(self, seconds: u64) -> Self {
        Self { now: self.now + seconds, ..self }
    }

    fn back(self, seconds: u64) -> Self {
        Self { now: self.now - seconds, ..self }
    }

    fn restarted(self) -> Self {
        Self { boot: Uuid::from_u128(self.boot.as_u128() + 1), ..self }
    }

    /// Silence as a broker in good health keeps it.
    fn quiet(self, seconds: u64) -> Self {
        let beats = seconds / (15 * MINUTE);
        (0..beats).fold(self, |story, _| story.after(15 * MINUTE).tell(&event(Kind::LogHeartbeat)))
    }

    fn finds(&self, rule: Rule, threshold: u64) -> Vec<Finding> {
        findings(&Settings::only(rule, threshold), &self.events)
    }

    /// The one finding of the rule: what was observed, and in which events.
    fn found(&self, rule: Rule, threshold: u64) -> (u64, Vec<u64>) {
        let found = self.finds(rule, threshold);
        assert_eq!(found.len(), 1, "{found:?}");
        let finding = &found[0];
        assert_eq!((finding.rule, finding.version, finding.threshold), (rule, rule.version(), threshold));
        (finding.observed, finding.evidence.clone())
    }

    fn finds_nothing(&self, rule: Rule, threshold: u64) -> bool {
        self.finds(rule, threshold).is_empty()
    }
}

fn findings(settings: &Settings, events: &[Opened]) -> Vec<Finding> {
    let mut detector = Detector::new(settings);
    (0..).zip(events).flat_map(|(index, event)| detector.observe(index, event)).collect()
}

fn event(kind: Kind) -> Event {
    Event::new(kind, Outcome::OK)
}

/// An event of a restore of this user and device.
fn restore(kind: Kind, who: &str) -> Event {
    event(kind).user(who).device(format!("{who}'s device")).correlation(Uuid::from_u128(9)).record("r-1")
}

fn released(who: &str) -> Event {
    restore(Kind::RestoreReleased, who)
}

fn wrapped(record: u128) -> Event {
    event(Kind::RecordWrapped).device("d").user("u").correlation(Uuid::from_u128(record))
}

fn denied(reason: &'static str, who: &str) -> Event {
    let mut denied = restore(Kind::RestoreDenied, who);
    denied.outcome = Outcome::from_static(reason);
    denied
}

#[test]
fn restore_rate_is_of_one_device_within_an_hour_and_told_once_an_hour() {
    let hourly =
        Story::begin().tell_all([released("a"), released("b"), released("a")]).after(HOUR).tell(&released("a"));
    assert!(hourly.finds_nothing(Rule::RestoreRate, 3));
    let burst = hourly.after(HOUR - 1).tell_all([released("b"), released("a"), released("a"), released("a")]);
    assert_eq!(burst.found(Rule::RestoreRate, 3), (3, vec![4, 6, 7]));
    let on_and_on = burst.after(HOUR).tell_all(std::iter::repeat_n(released("a"), 7));
    let triggers: Vec<_> = on_and_on.finds(Rule::RestoreRate, 3).iter().map(Finding::trigger).collect();
    assert_eq!(triggers, [7, 11], "a device that goes on is told of once an hour");
}

#[test]
fn wrap_rate_is_of_one_device_and_names_the_newest_events_only() {
    let story = Story::begin().tell_all((0..199).map(wrapped));
    assert!(story.finds_nothing(Rule::WrapRate, 200));
    let (observed, evidence) = story.tell(&wrapped(199)).found(Rule::WrapRate, 200);
    assert_eq!((observed, evidence), (200, (137..=200).collect()));
}

#[test]
fn record_fanout_counts_each_record_of_a_user_once() {
    let of = |records: &str| released("a").record(records);
    let story = Story::begin().tell_all([of("r-1 r-2"), of("r-2 r-1"), released("b").record("r-9")]);
    assert!(story.finds_nothing(Rule::RecordFanout, 3));
    assert_eq!(story.tell(&of("r-1 r-3")).found(Rule::RecordFanout, 3), (3, vec![2, 4]));
}

#[test]
fn user_fanout_is_laid_at_the_door_of_who_made_the_code_or_approved() {
    let enrolled = |story: Story, user: &str, actor: &str| {
        let code = event(Kind::EnrolmentCodeCreated).user(user).actor(actor);
        story.tell_all([code, event(Kind::DeviceEnrolled).user(user).device(format!("{user}'s device"))])
    };
    let story = ["a", "b", "c"].iter().fold(Story::begin(), |story, user| enrolled(story, user, "eve"));
    let story = enrolled(story, "d", "bob").after(DAY).tell_all(["a", "a", "d", "b"].map(released));
    assert!(story.finds_nothing(Rule::UserFanout, 3));
    assert_eq!(story.tell(&released("c")).found(Rule::UserFanout, 3), (3, vec![10, 12, 13]));

    let approved = |story: Story, user: &str, restore: u128| {
        let by_eve = event(Kind::RestoreApproved).actor("eve").correlation(Uuid::from_u128(restore));
        story.tell_all([by_eve, released(user).correlation(Uuid::from_u128(restore))])
    };
    let story = approved(approved(Story::begin(), "a", 1), "b", 2);
    assert_eq!(approved(story, "c", 3).found(Rule::UserFanout, 3), (3, vec![2, 4, 6]));
}

#[test]
fn restore_after_enrolment_is_about_the_first_one() {
    let enrolled = |who: &str| event(Kind::DeviceEnrolled).user(who).device(format!("{who}'s device"));
    let story = Story::begin().tell(&enrolled("a")).after(5 * MINUTE).tell(&released("a"));
    assert!(story.finds_nothing(Rule::RestoreAfterEnrolment, 5));
    let story = story.tell(&enrolled("b")).after(5 * MINUTE - 1).tell_all([released("b"), released("b")]);
    assert_eq!(story.found(Rule::RestoreAfterEnrolment, 5), (4, vec![3, 4]));
}

#[test]
fn dormant_record_was_neither_backed_up_nor_restored_for_long() {
    let ids: Vec<String> = (1..=3).map(|id| Uuid::from_u128(id).to_string()).collect();
    let all = released("a").record(ids.join(" "));
    let story = Story::begin().tell_all((1..=3).map(wrapped)).after(300 * DAY).tell(&released("a").record(&*ids[1]));
    let rewrapped = event(Kind::RecordRewrapped).correlation(Uuid::from_u128(1));
    let story = story.tell(&rewrapped).after(65 * DAY).tell(&all);
    assert_eq!(story.found(Rule::DormantRecord, 365), (365, vec![1, 3, 6]), "a rewrap is nobody's doing");
    assert!(story.tell(&all).finds_nothing(Rule::DormantRecord, 366));
}

#[test]
fn denials_then_release_are_of_one_restore_device_or_user() {
    let story = Story::begin().tell_all([denied("policy_denied", "a"), denied("restore_over", "a")]);
    let patient = std::iter::repeat_n(denied("restore_pending", "a"), 20);
    let other = denied("policy_denied", "b").correlation(Uuid::from_u128(8));
    let story = story.tell_all(patient).tell_all([other, released("a")]);
    assert!(story.finds_nothing(Rule::DenialsThenRelease, 3), "who asks too early is not refused");
    let again = story.tell_all([denied("policy_denied", "a"), denied("transcript_mismatch", "a"), released("a")]);
    let rows: Vec<_> = again.finds(Rule::DenialsThenRelease, 2).into_iter().map(|found| found.evidence).collect();
    assert_eq!(rows, [[1, 2, 24], [25, 26, 27]], "a release ends the row");
    // Erased or not: what joins a restore's events is clear.
    let erased = std::iter::repeat_n(denied("policy_denied", "c"), 3).fold(Story::begin(), |s, e| s.tell_erased(&e));
    let erased = erased.tell_erased(&released("c"));
    assert_eq!(erased.found(Rule::DenialsThenRelease, 3), (3, vec![1, 2, 3, 4]));
    assert_eq!(erased.finds(Rule::DenialsThenRelease, 3)[0].correlation, Some(Uuid::from_u128(9)));
}

#[test]
fn denials_then_enrolment_are_from_one_address() {
    let from = |kind, ip: &str| event(kind).ip(ip);
    let guesses = |story: Story| story.tell_all(std::iter::repeat_n(from(Kind::EnrolDenied, "192.0.2.1"), 3));
    let story = guesses(Story::begin()).tell(&from(Kind::DeviceEnrolled, "192.0.2.2"));
    assert!(story.finds_nothing(Rule::DenialsThenEnrolment, 3));
    let late = guesses(Story::begin()).after(HOUR).tell(&from(Kind::DeviceEnrolled, "192.0.2.1"));
    assert!(late.finds_nothing(Rule::DenialsThenEnrolment, 3));
    let guessed = story.tell(&from(Kind::DeviceEnrolled, "192.0.2.1"));
    assert_eq!(guessed.found(Rule::DenialsThenEnrolment, 3), (3, vec![1, 2, 3, 5]));
}

#[test]
fn first_seen_is_what_an_old_log_does_not_know() {
    let by = |provider: &str| event(Kind::KekRegistered).provider(provider);
    let refused = Event::new(Kind::AdminDenied, Outcome::from_static("kek_taken")).provider("fourth");
    let story = Story::begin().tell_all([by("first"), by("second")]).after(7 * DAY).tell_all([by("first"), refused]);
    assert!(story.finds_nothing(Rule::FirstSeenProvider, 7));
    assert_eq!(story.tell_all([by("third"), by("third")]).found(Rule::FirstSeenProvider, 7), (7, vec![5]));

    let acts = |actor: &str, ip: Ipv4Addr| event(Kind::UserCreated).actor(actor).ip(ip.to_string()).agent("curl");
    let [office, same_office, elsewhere] = [[192, 0, 2, 1], [192, 0, 2, 200], [198, 51, 100, 1]].map(Ipv4Addr::from);
    let story = Story::begin().tell(&acts("eve", office)).after(9 * DAY).tell(&acts("eve", same_office));
    let story = story.tell(&acts("bob", elsewhere));
    assert!(story.finds_nothing(Rule::FirstSeenNetwork, 7), "a new administrator's first network is no news");
    let story = story.tell(&acts("eve", elsewhere));
    assert_eq!(story.found(Rule::FirstSeenNetwork, 7), (9, vec![4]));
    assert!(story.finds_nothing(Rule::FirstSeenAgent, 7));
    assert_eq!(story.tell(&acts("eve", office).agent("wget")).found(Rule::FirstSeenAgent, 7), (9, vec![5]));
}

#[test]
fn intent_without_outcome_is_waited_for_while_the_broker_runs() {
    let intent = |restore: u128| event(Kind::RestoreIntent).correlation(Uuid::from_u128(restore));
    let failed = |restore: u128| event(Kind::RestoreFailed).correlation(Uuid::from_u128(restore));
    let story = Story::begin().tell_all([intent(1), intent(2)]).after(10 * MINUTE - 1).tell(&failed(1));
    assert!(story.finds_nothing(Rule::IntentWithoutOutcome, 10));
    let found = story.after(1).tell(&event(Kind::LogHeartbeat)).finds(Rule::IntentWithoutOutcome, 10);
    assert_eq!((found[0].observed, &found[0].evidence[..]), (10, &[2, 4][..]));
    assert_eq!((found.len(), found[0].correlation), (1, Some(Uuid::from_u128(2))));

    let crashed = Story::begin().tell_all([intent(1), intent(2)]).after(HOUR).restarted();
    let given_back = crashed.tell_all([failed(1), failed(2)]).after(HOUR).tell(&event(Kind::LogHeartbeat));
    assert!(given_back.finds_nothing(Rule::IntentWithoutOutcome, 10));
}

#[test]
fn log_silent_is_a_stretch_without_even_a_heartbeat() {
    let finding = event(Kind::FindingRaised);
    let story = Story::begin().quiet(DAY).after(19 * MINUTE).tell(&finding).after(19 * MINUTE).tell(&released("a"));
    assert!(story.finds_nothing(Rule::LogSilent, 20), "a finding is a sign of life");
    let silent = story.after(21 * MINUTE).tell(&finding).tell(&event(Kind::LogHeartbeat));
    assert_eq!(silent.found(Rule::LogSilent, 20), (21, vec![98, 100]), "but none is about a finding");
}

#[test]
fn clock_went_back_by_the_broker_s_word_or_by_the_events() {
    let told = Event::new(Kind::LogHeartbeat, Outcome::from_static("clock_went_back"));
    let in_order = Story::begin().quiet(HOUR).back(59).tell(&released("a"));
    assert!(in_order.finds_nothing(Rule::ClockWentBack, 1), "leaves are signed before they queue");
    assert_eq!(Story::begin().tell(&told).found(Rule::ClockWentBack, 1), (1, vec![1]));
    assert_eq!(in_order.after(59).tell(&told).back(MINUTE).tell(&told).found(Rule::ClockWentBack, 2), (2, vec![6, 7]));
    assert_eq!(
        Story::begin().quiet(HOUR).back(MINUTE).tell(&released("a")).found(Rule::ClockWentBack, 1),
        (1, vec![5])
    );
}

#[test]
fn frequent_restarts_are_counted_by_runs() {
    let run = |story: Story| story.restarted().tell_all([event(Kind::LogHeartbeat), released("a")]);
    let story = (0..3).fold(Story::begin().after(HOUR), |story, _| run(story));
    assert!(story.finds_nothing(Rule::FrequentRestarts, 4), "the run that opened the log was an hour ago");
    assert_eq!(run(story).found(Rule::FrequentRestarts, 4), (4, vec![1, 3, 5, 7]));
}

#[test]
fn every_rule_has_a_name_of_its_own_and_none_runs_that_is_off() {
    for rule in Rule::ALL {
        assert_eq!(rule.as_str().parse(), Ok(*rule));
        assert_eq!(Settings::default().threshold(*rule).is_some(), rule.runs_by_default());
        assert_eq!(Settings::default().with(*rule, 3).without(*rule).threshold(*rule), None);
    }
}

/// Any event that a rule may look at, by one of few people and soon or late after the one before.
fn any_event() -> impl Strategy<Value = (Event, u64, u128)> {
    let kinds = [
        Kind::RecordWrapped,
        Kind::RestoreIntent,
        Kind::RestoreReleased,
        Kind::RestoreDenied,
        Kind::RestoreFailed,
        Kind::RestoreApproved,
        Kind::EnrolmentCodeCreated,
        Kind::DeviceEnrolled,
        Kind::EnrolDenied,
        Kind::KekRegistered,
        Kind::LogHeartbeat,
        Kind::FindingRaised,
    ];
    let steps = prop_oneof![4 => 0..MINUTE, 2 => Just(11 * MINUTE), 1 => Just(HOUR), 1 => Just(400 * DAY)];
    let made = (prop::sample::select(kinds.to_vec()), 0..3_u8, 0..4_u128, steps, 0..20_u128, any::<bool>());
    made.prop_map(|(kind, who, restore, step, boot, erased)| {
        let event = event(kind).correlation(Uuid::from_u128(restore)).provider(format!("provider {who}"));
        let event = if erased { event } else { described(event, who) };
        (event, step, boot / 19)
    })
}

fn described(event: Event, who: u8) -> Event {
    let [actor, device, user] = ["actor", "device", "user"].map(|what| format!("{what} {}", who / 2));
    let records = [u128::from(who), 3].map(|record| Uuid::from_u128(record).to_string()).join(" ");
    event.actor(actor).device(device).user(user).ip(format!("192.0.{who}.1")).agent(format!("{who}")).record(records)
}

proptest! {
    /// A detector that has read a log knows what one knows that was stopped anywhere and read it again from the start.
    #[test]
    fn findings_depend_on_the_events_alone(told in prop::collection::vec(any_event(), 1..120), stop in 0_usize..120) {
        let mut story = Story::begin();
        for (event, step, boot) in &told {
            story = story.after(*step);
            story.boot = Uuid::from_u128(1 + boot);
            story.events.push(Opened { iat: story.now, boot: story.boot, event: event.clone(), ..story.events[0].clone() });
        }
        let settings = Rule::ALL.iter().fold(Settings::default(), |settings, rule| settings.with(*rule, 2));
        let at_once = findings(&settings, &story.events);
        let mut again = Detector::new(&settings);
        for (index, event) in (0..).zip(&story.events[..stop.min(story.events.len())]) {
            again.observe(index, event);
        }
        let rest = (0..).zip(&story.events).skip(stop).flat_map(|(index, event)| again.observe(index, event));
        let due: Vec<_> = at_once.iter().filter(|found| found.trigger() >= stop as u64).cloned().collect();
        prop_assert_eq!(rest.collect::<Vec<_>>(), due);
        for finding in &at_once {
            prop_assert!(finding.evidence.is_sorted() && finding.trigger() < story.events.len() as u64);
            prop_assert_eq!(Finding::from_event(&finding.to_event()), Some(finding.clone()));
            prop_assert!(story.events[usize::try_from(finding.trigger()).unwrap()].event.kind != Kind::FindingRaised);
            prop_assert!(Field::ALL.iter().all(|field| *field == Field::Reason || finding.to_event().text(*field).is_none()));
        }
        let mut ids: Vec<_> = at_once.iter().map(|finding| (finding.trigger(), finding.rule)).collect();
        ids.dedup();
        prop_assert_eq!(ids.len(), at_once.len(), "rule and trigger are a finding's name");
    }
}
