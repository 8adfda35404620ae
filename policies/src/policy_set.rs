//! A set of policies, checked once when it is loaded.

use crate::error::{PolicyError, Problem, offset};
use crate::needs::Needs;
use crate::statements::{Statement, statements};
use aws_lc_rs::digest;
use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator};
use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) const SCHEMA: &str = include_str!("../schema.cedarschema");

const DEFAULT: &str = concat!(
    include_str!("../default/always.cedar"),
    "\n",
    include_str!("../default/enrol.cedar"),
    "\n",
    include_str!("../default/wrap.cedar"),
    "\n",
    include_str!("../default/restore.cedar"),
);

/// Stack for loading, in bytes. Cedar's validator passes, unchecked, what it has no stack left for: this is enough for
/// the longest and deepest policy that is handed to it, in an unoptimised build too.
const LOADING_STACK: usize = 128 << 20;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema = SCHEMA.parse::<Schema>().expect("invariant: the schema is part of the program and a test parses it");
    Validator::new(schema)
});

/// Policies in force: parsed and strictly validated against the schema, each under its own `@id`.
#[derive(Debug)]
pub struct PolicySet {
    text: String,
    pub(crate) cedar: cedar_policy::PolicySet,
    needs: HashMap<PolicyId, Needs>,
}

impl PolicySet {
    /// The longest policy that is read, in bytes.
    pub const MAX_POLICY_BYTES: usize = 8_192;

    /// Reads Cedar text; the first mistake in it refuses the whole, warnings of Cedar's validator included.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut set = Self { text: text.to_owned(), cedar: cedar_policy::PolicySet::new(), needs: HashMap::new() };
        let statements = statements(text)?;
        stacker::grow(LOADING_STACK, || statements.iter().try_for_each(|statement| set.add(statement)))?;
        Ok(set)
    }

    /// The policies that hold where a tenant has set none: the files under `policies/default`.
    #[must_use]
    pub fn default_set() -> Self {
        Self::parse(DEFAULT).expect("invariant: the default policies are part of the program and a test parses them")
    }

    /// SHA-256 over the schema and the policy text, each preceded by its length in bytes (64 bits, big endian).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sha256 = digest::Context::new(&digest::SHA256);
        for part in [SCHEMA, &self.text] {
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

    /// The text as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The strictest of what the policies named by `ids` demand.
    pub(crate) fn needs<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Needs {
        ids.filter_map(|id| self.needs.get(id)).fold(Needs::default(), |strictest, needs| strictest.and(*needs))
    }

    fn add(&mut self, statement: &Statement) -> Result<(), PolicyError> {
        let policy = read(statement)?;
        let name = policy.annotation("id").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| statement.error(0, None, Problem::MissingId))?;
        let id = PolicyId::new(name);
        let mistake = |offset, problem| statement.error(offset, Some(name), problem);
        let needs = Needs::of(&policy).map_err(|problem| mistake(0, problem))?;
        let policy = policy.new_id(id.clone());
        validate(&policy).map_err(|(offset, problem)| mistake(offset, problem))?;
        self.cedar.add(policy).map_err(|_| mistake(0, Problem::DuplicateId))?;
        self.needs.insert(id, needs);
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
