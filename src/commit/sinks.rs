//! What operators do to a sink, and how far sinks are.

use super::gate::Applied;
use super::rare::Passed;
use crate::store::cursors::{self, Cursor};
use crate::store::replays::{self, Replay};
use crate::store::{Connection, StoreError};

/// What an operator does to a sink of one tenant.
#[derive(Debug)]
pub enum SinkStep {
    /// Nothing more is delivered.
    Pause,
    /// Delivery goes on.
    Resume,
    /// What is before this index is given up.
    SkipTo(u64),
    /// A range is delivered once more.
    Replay(Replay),
}

pub(super) async fn step(
    db: &mut Connection,
    (tenant, sink): (&str, &str),
    step: &SinkStep,
) -> Result<Passed, StoreError> {
    match step {
        SinkStep::Pause => cursors::set_paused(db, (tenant, sink), true).await?,
        SinkStep::Resume => cursors::set_paused(db, (tenant, sink), false).await?,
        SinkStep::SkipTo(next) => cursors::skip_to(db, (tenant, sink), *next).await?,
        SinkStep::Replay(replay) => replays::insert(db, sink, replay).await?,
    }
    Ok(Ok(Applied::Done))
}

/// All of a sink's progress; in one transaction it costs one fsync.
pub(super) async fn save_progress(
    db: &mut Connection,
    sink: &str,
    (cursors, replays): (&[Cursor], &[Replay]),
) -> Result<(), StoreError> {
    cursors::save(db, sink, cursors).await?;
    for replay in replays {
        replays::save(db, replay).await?;
    }
    Ok(())
}
