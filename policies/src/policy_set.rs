//! A set of policies, checked once when it is loaded.

use crate::body::Body;
use crate::error::{PolicyError, Problem, offset};
use crate::needs::Needs;
use crate::statements::{Statement, statements};
use aws_lc_rs::digest;
use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator};
use std::collections::BTreeMap;
use std::sync::LazyLock;

pub(crate) const SCHEMA: &str = include_str!("../schema.cedarschema");

const ALWAYS: &str = include_str!("../default/always.cedar");

const DEFAULT: &str = concat!(
    include_str!("../default/enrol.cedar"),
    "\n",
    include_str!("../default/wrap.cedar"),
    "\n",
    include_str!("../default/restore.cedar"),
    "\n",
    include_str!("../default/approve.cedar"),
);

/// Stack for loading, in bytes. Cedar's validator passes, unchecked, what it has no stack left for: this is enough for
/// the longest and deepest policy that is handed to it, in an unoptimised build too.
const LOADING_STACK: usize = 128 << 20;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema = SCHEMA.parse::<Schema>().expect("invariant: the schema is part of the program and a test parses it");
    Validator::new(schema)
});

/// Policies in force: those that always hold (`default/always.cedar`) and a tenant's own, parsed and strictly validated
/// against the schema, each under its own `@id`.
#[derive(Debug)]
pub struct PolicySet {
    full_text: String,
    /// Where the tenant's own text begins.
    own: usize,
    pub(crate) cedar: cedar_policy::PolicySet,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// What is known of a policy besides what Cedar evaluates.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) needs: Needs,
    pub(crate) description: Option<String>,
    /// `None`: it cannot be compared with others.
    pub(crate) body: Option<Body>,
    /// Part of every set.
    always: bool,
}

impl Entry {
    pub(crate) fn may_fail(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.may_fail)
    }
}

impl PolicySet {
    /// The longest policy that is read, in bytes.
    pub const MAX_POLICY_BYTES: usize = 8_192;

    /// The longest text that is read, in bytes.
    pub const MAX_TEXT_BYTES: usize = 65_536;

    /// Reads a tenant's own policies; the first mistake in them refuses the whole, warnings of Cedar's validator included.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > Self::MAX_TEXT_BYTES {
            return Err(PolicyError::at(text, 0, None, Problem::TextTooLong));
        }
        Self::assemble(ALWAYS, text)
    }

    /// The policies that hold where a tenant has set none: the files under `policies/default`.
    #[must_use]
    pub fn default_set() -> Self {
        Self::parse(DEFAULT).expect("invariant: the default policies are part of the program and a test parses them")
    }

    /// SHA-256 over the schema and the full text, each preceded by its length in bytes (64 bits, big endian).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sha256 = digest::Context::new(&digest::SHA256);
        for part in [SCHEMA, &self.full_text] {
            sha256.update(&(part.len() as u64).to_be_bytes());
            sha256.update(part.as_bytes());
        }
        sha256.finish().as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
    }

    /// The schema that policies are validated against.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        SCHEMA
    }

    /// The tenant's own text, as it was given: what [`PolicySet::parse`] reads again.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.full_text[self.own..]
    }

    /// All that holds: the policies that always do, a newline, and the tenant's own text.
    #[must_use]
    pub fn full_text(&self) -> &str {
        &self.full_text
    }

    /// Whether a decision may depend on who is above whom: if not, [`UserFacts::managers`](crate::UserFacts::managers) may be
    /// left out.
    #[must_use]
    pub fn asks_for_reporting_lines(&self) -> bool {
        self.entries.values().any(|entry| entry.body.as_ref().is_none_or(|body| body.climbs))
    }

    /// The strictest of what the policies named by `ids` demand.
    pub(crate) fn needs<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Needs {
        let known = ids.filter_map(|id| self.entries.get(AsRef::<str>::as_ref(id)));
        known.fold(Needs::default(), |strictest, entry| strictest.and(entry.needs))
    }

    fn assemble(always: &str, text: &str) -> Result<Self, PolicyError> {
        let mut set = Self {
            full_text: format!("{always}\n{text}"),
            own: always.len() + 1,
            cedar: cedar_policy::PolicySet::new(),
            entries: BTreeMap::new(),
        };
        set.load(always, true)?;
        set.load(text, false)?;
        Ok(set)
    }

    fn load(&mut self, text: &str, always: bool) -> Result<(), PolicyError> {
        let statements = statements(text)?;
        stacker::grow(LOADING_STACK, || statements.iter().try_for_each(|statement| self.add(statement, always)))
    }

    fn add(&mut self, statement: &Statement, always: bool) -> Result<(), PolicyError> {
        let policy = read(statement)?;
        let name = policy.annotation("id").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| statement.error(0, None, Problem::MissingId))?;
        let mistake = |offset, problem| statement.error(offset, Some(name), problem);
        let needs = Needs::of(&policy).map_err(|problem| mistake(0, problem))?;
        let policy = policy.new_id(PolicyId::new(name));
        validate(&policy).map_err(|(offset, problem)| mistake(offset, problem))?;
        if let Some(other) = self.entries.get(name) {
            return Err(mistake(0, if other.always { Problem::ReservedId } else { Problem::DuplicateId }));
        }
        let description = policy.annotation("description").map(str::to_owned);
        let body = Body::of(&policy);
        self.entries.insert(name.to_owned(), Entry { needs, description, body, always });
        self.cedar.add(policy).expect("invariant: the name is new to this set");
        Ok(())
    }
}

fn read(statement: &Statement) -> Result<Policy, PolicyError> {
    Policy::parse(None, statement.source).map_err(|errors| {
        let place = errors.iter().filter_map(|error| offset(error)).min().unwrap_or(0);
        statement.error(place, None, Problem::Syntax(Box::new(errors)))
    })
}

/// Fails with the first thing that Cedar finds and its byte offset.
fn validate(policy: &Policy) -> Result<(), (usize, Problem)> {
    let alone = cedar_policy::PolicySet::from_policies([policy.clone()])
        .expect("invariant: a single static policy is a policy set");
    let result = VALIDATOR.validate(&alone, ValidationMode::Strict);
    let errors = result.validation_errors();
    let errors = errors.map(|error| (offset(error).unwrap_or(0), Problem::Invalid(Box::new(error.clone()))));
    let warnings = result.validation_warnings();
    let warnings = warnings.map(|warning| (offset(warning).unwrap_or(0), Problem::Suspect(Box::new(warning.clone()))));
    errors.chain(warnings).min_by_key(|(place, _)| *place).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
