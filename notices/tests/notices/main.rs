//! What notices say, and how they go out.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod letters;
mod mails;
mod samples;
mod webhooks;
