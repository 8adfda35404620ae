//! What is said: the bytes that device and broker, or ceremony and broker, agree on. No I/O, no clock.
//!
//! `docs/PROTOCOL.md` is the specification, `tests/vectors/` has the test vectors.

pub mod approval;
pub mod ceremony;
pub mod encoding;
pub mod enrolment;
pub mod jws;
pub mod login;
pub mod messages;
pub mod names;
pub mod passphrase;
pub mod record;
pub mod sealing;
pub mod transcript;
