//! `[country]`: in which country an address is.

use super::Config;
use crate::countries::{Countries, CountriesError};
use serde::Deserialize;
use std::path::PathBuf;

/// Where that is looked up.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Country {
    /// A file in MaxMind's format, with `country.iso_code` for each network; without it, no country is known.
    database: Option<PathBuf>,
}

impl Config {
    /// What the database of the file says.
    pub fn countries(&self) -> Result<Countries, CountriesError> {
        match &self.country.database {
            Some(path) => Countries::open(&self.path(path)),
            None => Ok(Countries::default()),
        }
    }
}
