//! What happened: the signed, tamper-evident log of one tenant.
//!
//! An [`event::Event`] becomes a signed [`leaf`] (an SD-JWT), the leaf joins a Merkle [`tree`], a [`note`] signs the
//! tree's head, a [`cosignature`] is a witness's word for it, a [`receipt`] proves one leaf in it. [`export`] writes all of it to files and [`verify`] checks them
//! offline. The format is specified in `docs/AUDIT-FORMAT.md`.
//!
//! Pure but for the files of [`export`] and [`verify`]: no database, no network, no clock.

pub mod cosignature;
mod digest;
pub mod event;
pub mod evidence;
pub mod export;
pub mod finding;
pub mod leaf;
mod line;
pub mod note;
mod origin;
pub mod receipt;
pub mod subject;
pub mod tile;
pub mod tree;
pub mod verify;

pub use line::{ClearClaims, line};
pub use origin::{InvalidOrigin, Origin};
pub use tree::Hash;
