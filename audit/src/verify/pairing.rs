use crate::event::{Event, Kind};
use std::collections::HashMap;
use uuid::Uuid;

/// How long before the log's last event an intent may still be without outcome, in seconds.
const OPEN_TAIL: u64 = 10 * 60;

/// A restore whose key was, or may have been, unwrapped and whose outcome the log does not yet tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenIntent {
    /// Index of the `restore.intent`.
    pub index: u64,
    /// Its `cor`.
    pub correlation: Uuid,
}

/// How intents and outcomes do not fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// An intent or a release without `cor`.
    #[error("no `cor` joins it with anything")]
    Uncorrelated,
    /// A second intent while the first has no outcome.
    #[error("a second intent while the first has no outcome")]
    SecondIntent,
    /// An intent after the release: a second unwrap.
    #[error("an intent after the key was released")]
    IntentAfterRelease,
    /// A release without open intent.
    #[error("a release without open intent")]
    NoIntent,
    /// A second release, or a failure after the release.
    #[error("a second outcome after the release")]
    SecondOutcome,
    /// No outcome although the log went on for more than ten minutes.
    #[error("an intent that never got its outcome")]
    NoOutcome,
}

/// The kinds of event that count here, and what each does.
const STEPS: [(Kind, Step); 4] = [
    (Kind::RestoreIntent, Step::Intend),
    (Kind::RestoreReleased, Step::Release),
    (Kind::RestoreFailed, Step::Fail),
    (Kind::RestoreDenied, Step::Deny),
];

#[derive(Clone, Copy)]
enum Step {
    Intend,
    Release,
    Fail,
    Deny,
}

#[derive(Clone, Copy)]
enum State {
    /// No intent yet, or the last one failed or was denied.
    Idle,
    Open {
        index: u64,
        iat: u64,
    },
    Released,
}

impl State {
    /// A denial releases nothing, so it may come at any time; it concludes an open intent.
    fn after(self, step: Step, index: u64, iat: u64) -> Result<Self, PairingError> {
        match (step, self) {
            (Step::Intend, Self::Idle) => Ok(Self::Open { index, iat }),
            (Step::Intend, Self::Open { .. }) => Err(PairingError::SecondIntent),
            (Step::Intend, Self::Released) => Err(PairingError::IntentAfterRelease),
            (Step::Release, Self::Open { .. }) | (Step::Deny, Self::Released) => Ok(Self::Released),
            (Step::Release, Self::Idle) => Err(PairingError::NoIntent),
            (Step::Release | Step::Fail, Self::Released) => Err(PairingError::SecondOutcome),
            (Step::Fail | Step::Deny, Self::Idle | Self::Open { .. }) => Ok(Self::Idle),
        }
    }
}

/// Follows every restore through the log.
#[derive(Default)]
pub(super) struct Pairing(HashMap<Uuid, State>);

impl Pairing {
    pub(super) fn observe(&mut self, index: u64, iat: u64, event: &Event) -> Result<(), PairingError> {
        let Some((_, step)) = STEPS.into_iter().find(|(kind, _)| *kind == event.kind) else { return Ok(()) };
        match (event.correlation, step) {
            (Some(correlation), _) => {
                let state = self.0.entry(correlation).or_insert(State::Idle);
                *state = state.after(step, index, iat)?;
                Ok(())
            }
            // A failure or refusal before any intent may stand alone.
            (None, Step::Fail | Step::Deny) => Ok(()),
            (None, Step::Intend | Step::Release) => Err(PairingError::Uncorrelated),
        }
    }

    /// The intents still open in a log whose last event is of `last_iat`; or the first that should not be, by its index.
    pub(super) fn conclude(self, last_iat: u64) -> Result<Vec<OpenIntent>, (u64, PairingError)> {
        let open = |(correlation, state)| match state {
            State::Open { index, iat } => Some((OpenIntent { index, correlation }, iat)),
            State::Idle | State::Released => None,
        };
        let mut open: Vec<_> = self.0.into_iter().filter_map(open).collect();
        open.sort_unstable();
        match open.iter().find(|(_, iat)| last_iat.saturating_sub(*iat) > OPEN_TAIL) {
            Some((intent, _)) => Err((intent.index, PairingError::NoOutcome)),
            None => Ok(open.into_iter().map(|(intent, _)| intent).collect()),
        }
    }
}
