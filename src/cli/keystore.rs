//! `keyfold keystore`: the software provider's keys. Not an HSM, and says so.

use super::{Failure, output};
use crate::config::secret_file;
use clap::{Args, Subcommand};
use providers::software::{Keystore as File, Software};
use secret::Secret;
use std::path::PathBuf;

/// Manage the software provider's keystore. It is a file, not an HSM.
#[derive(Debug, Args)]
pub struct Keystore {
    /// The keystore file.
    #[arg(long)]
    keystore: PathBuf,
    /// A file with its passphrase.
    #[arg(long)]
    passphrase_file: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an empty keystore.
    Create,
    /// Add a new random key.
    Add {
        /// What the broker will call it.
        name: String,
    },
    /// Take a key out of use; records under it cannot be restored meanwhile.
    Disable {
        /// Which key.
        name: String,
    },
    /// Put a disabled key to use again.
    Enable {
        /// Which key.
        name: String,
    },
    /// Destroy a key for ever, and with it every record under it.
    Delete {
        /// Which key.
        name: String,
        /// Type the name again: nothing can undo this.
        #[arg(long)]
        confirm: String,
    },
}

impl Keystore {
    pub(super) fn run(self) -> Result<(), Failure> {
        let passphrase = Secret::copied_from(&secret_file(&self.passphrase_file)?);
        if let Action::Create = self.action {
            File::create(&self.keystore, &passphrase)?;
            return output::line(&format!("made {}", self.keystore.display()));
        }
        let software = Software::open(&self.keystore, &passphrase)?;
        match self.action {
            Action::Create => Ok(()),
            Action::Add { name } => done(software.create_key(&name), "added", &name),
            Action::Disable { name } => done(software.set_state(&name, false), "disabled", &name),
            Action::Enable { name } => done(software.set_state(&name, true), "enabled", &name),
            Action::Delete { name, confirm } if name == confirm => done(software.delete(&name), "deleted", &name),
            Action::Delete { name, .. } => Err(format!("`--confirm` must repeat `{name}`; nothing was deleted").into()),
        }
    }
}

fn done<E: Into<Failure>>(result: Result<(), E>, verb: &str, name: &str) -> Result<(), Failure> {
    result.map_err(Into::into)?;
    output::line(&format!("{verb} {name}"))
}
