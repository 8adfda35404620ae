//! Tiles and entry bundles: their paths and their bytes (C2SP tlog-tiles).

use crate::Hash;
use std::fmt;
use std::str::FromStr;

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;

/// Highest tile level of a path.
const MAX_LEVEL: u8 = 63;

/// Which tile: `index` counts within `level`; `width` is 256 when full, else 1 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0 for leaf hashes; each hash of level `n + 1` is the root of a full tile of level `n`.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
    /// How many hashes.
    pub width: u16,
}

/// A resource of a log under its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// `tile/<L>/<N>[.p/<W>]`
    Tile(TileId),
    /// `tile/entries/<N>[.p/<W>]`
    Entries {
        /// Position among the bundles.
        index: u64,
        /// 256 when full, else 1 to 255.
        width: u16,
    },
}

/// The text is no canonical path of a tile or a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no path of a tile or an entry bundle")]
pub struct InvalidPath;

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Tile(TileId { level, index, width }) => {
                write!(f, "tile/{level}")?;
                (*index, *width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries")?;
                (*index, *width)
            }
        };
        write_index(f, index)?;
        if u64::from(width) < WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

/// `/x001/x234/067` for 1234067.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let above = std::iter::successors(Some(index / 1000), |rest| Some(rest / 1000));
    let above: Vec<_> = above.take_while(|rest| *rest > 0).collect();
    for rest in above.iter().rev() {
        write!(f, "/x{:03}", rest % 1000)?;
    }
    write!(f, "/{:03}", index % 1000)
}

impl FromStr for Path {
    type Err = InvalidPath;

    fn from_str(path: &str) -> Result<Self, InvalidPath> {
        let (kind, rest) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(InvalidPath)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| InvalidPath)?),
            None => (rest, 256),
        };
        let index = parse_index(index)?;
        let parsed = match kind {
            "entries" => Self::Entries { index, width },
            level => Self::Tile(TileId { level: level.parse().map_err(|_| InvalidPath)?, index, width }),
        };
        // Writing it again and comparing refuses every second spelling: signs, leading zeroes, `.p/256`, empty groups.
        let level_fits = !matches!(parsed, Self::Tile(TileId { level, .. }) if level > MAX_LEVEL);
        if level_fits && (1..=256).contains(&width) && parsed.to_string() == path {
            Ok(parsed)
        } else {
            Err(InvalidPath)
        }
    }
}

fn parse_index(groups: &str) -> Result<u64, InvalidPath> {
    groups.split('/').try_fold(0u64, |index, group| {
        let digits: u64 = group.trim_start_matches('x').parse().map_err(|_| InvalidPath)?;
        index.checked_mul(1000).and_then(|index| index.checked_add(digits)).ok_or(InvalidPath)
    })
}

/// The hashes of a tile's bytes, 32 each; `None` when they do not divide evenly.
#[must_use]
pub fn decode_tile(bytes: &[u8]) -> Option<&[Hash]> {
    let (hashes, rest) = bytes.as_chunks();
    rest.is_empty().then_some(hashes)
}

/// Appends one entry to a bundle: its length in two bytes, big endian, and itself.
///
/// # Errors
/// [`EntryTooLong`] beyond 65,535 bytes; leaves are far shorter.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let len = u16::try_from(entry.len()).map_err(|_| EntryTooLong)?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entry does not fit a bundle's two-byte length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry is at most 65,535 bytes")]
pub struct EntryTooLong;

/// The entries of a bundle, in order; `None` in place of one whose length does not fit, and after it nothing.
pub fn entries(bundle: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = bundle;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (entry, after) = split_entry(rest).unzip();
        rest = after.unwrap_or_default();
        Some(entry)
    })
}

fn split_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bundle.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}

#[cfg(test)]
mod tests {
    use super::{InvalidPath, Path, TileId, entries, push_entry};

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| Path::Tile(TileId { level, index, width });
        for (path, text) in [
            (tile(0, 0, 256), "tile/0/000"),
            (tile(1, 1_234_067, 256), "tile/1/x001/x234/067"),
            (tile(0, 273, 112), "tile/0/273.p/112"),
            (tile(63, 1000, 1), "tile/63/x001/000.p/1"),
            (Path::Entries { index: 999, width: 256 }, "tile/entries/999"),
            (Path::Entries { index: 1_000_000, width: 3 }, "tile/entries/x001/x000/000.p/3"),
        ] {
            assert_eq!(path.to_string(), text);
            assert_eq!(text.parse(), Ok(path));
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        for bad in [
            "tile/0/0",
            "tile/00/000",
            "tile/64/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/x000/001",
            "tile/0/001/000",
            "tile/0/xx01/000",
            "tile/+1/000",
            "tile/0/x001",
            "tile/0/",
            "tile/0",
            "tile/data/000",
            "/tile/0/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(bad.parse::<Path>(), Err(InvalidPath), "{bad}");
        }
    }

    #[test]
    fn bundles_hold_what_was_pushed() {
        let mut bundle = Vec::new();
        push_entry(&mut bundle, b"first").unwrap();
        push_entry(&mut bundle, b"").unwrap();
        assert_eq!(entries(&bundle).collect::<Vec<_>>(), [Some(b"first".as_slice()), Some(b"")]);
        assert_eq!(entries(&bundle[..bundle.len() - 1]).collect::<Vec<_>>(), [Some(b"first".as_slice()), None]);
        assert!(push_entry(&mut bundle, &[0; 65_536]).is_err());
    }
}
