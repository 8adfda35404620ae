//! Places in a log, as administrators name them.

use crate::store::cursors::unix_ms;
use crate::store::{Connection, StoreError, log};

/// Where a range of events begins or ends.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// At this index.
    Index(u64),
    /// At the first event of this time or later, in unix milliseconds.
    Time(i64),
}

/// The index of a place, never beyond `end`. Times are the broker's clock at each event, and rise but for its corrections, so
/// it is found by halving.
pub(super) async fn index_of(db: &mut Connection, tenant: &str, place: Place, end: u64) -> Result<u64, StoreError> {
    let time = match place {
        Place::Index(index) => return Ok(index.min(end)),
        Place::Time(time) => time,
    };
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(db, tenant, middle).await? < time { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// When the event happened, in unix milliseconds: its id, a UUIDv7, says so.
async fn time_of(db: &mut Connection, tenant: &str, index: u64) -> Result<i64, StoreError> {
    let leaf = log::leaves(db, tenant, index, index + 1).await?.pop();
    leaf.and_then(|leaf| unix_ms(&leaf.jti)).ok_or(StoreError::Corrupt { column: "jti" })
}
