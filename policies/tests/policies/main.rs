//! The room's promises, as its users see them.

mod approvals;
mod comparison;
mod decisions;
mod default_policies;
mod facts;
mod library;
mod refused_texts;
mod roles;
