//! `keyfold ceremony`: wraps a customer's own KEK for its provider. For a machine without network: it opens no socket.

use super::{Failure, file, output};
use crate::clock::Clock;
use clap::{Args, Subcommand};
use protocol::ceremony::{Fingerprint, KEK_LEN, Material, Parameters};
use protocol::encoding::from_json;
use secret::Secret;
use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The permission bits of group and others.
const OTHERS: u32 = 0o077;
/// Longest line that is read from a person, in bytes.
const MAX_ANSWER: u64 = 1_024;

/// Make and wrap a customer's own KEK, on a machine without network.
///
/// It reads and writes the files that you name, and opens no connection. Before and after, on a machine that reaches the
/// broker:
///
///   keyfold admin kek import-parameters TENANT --provider P --key K --out parameters.json
///   keyfold admin kek import TENANT --material material.json
///   keyfold admin kek register TENANT --provider P --key K
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Ceremony {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Wrap an AES-256 key, a new one or your own, so that only the provider can open it.
    Wrap(Wrap),
}

/// Wrap an AES-256 key, a new one or your own, so that only the provider can open it.
///
/// Two people compare the fingerprint of the provider's wrapping key: whoever exchanged it would get the KEK. What is
/// printed at the end says nothing about the KEK but its check value.
#[derive(Debug, Args)]
struct Wrap {
    /// The file that `keyfold admin kek import-parameters` made.
    #[arg(long)]
    parameters: PathBuf,
    /// The file to make, for `keyfold admin kek import`. It holds nothing secret.
    #[arg(long)]
    out: PathBuf,
    /// The fingerprint of the wrapping key, from another source than the file; asked for when not given.
    ///
    /// As `keyfold admin kek import-parameters` printed it, or better, as the vendor's own tool gives it.
    #[arg(long)]
    fingerprint: Option<Fingerprint>,
    /// Your own key: a file of 32 bytes that only you may read. Without it a new key is made.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// Also keep the new key, in clear, in this new file: whoever reads it can open every record under the key.
    #[arg(long, conflicts_with = "key_file")]
    keep: Option<PathBuf>,
}

impl Ceremony {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Step::Wrap(wrap) = self.step;
        if !secret::harden_process().locked {
            eprintln!("warning: memory could not be locked; turn off swap on this machine");
        }
        wrap.run()
    }
}

impl Wrap {
    fn run(self) -> Result<(), Failure> {
        let parameters = read_parameters(&self.parameters)?;
        let Parameters { tenant, provider, key, .. } = &parameters;
        eprintln!("a KEK for tenant {tenant}, provider {}, key {}", provider.as_str(), key.as_str());
        let expected = self.fingerprint.map_or_else(ask_fingerprint, Ok)?;
        let confirmed = parameters.confirm(&expected, Clock::starting_at(0).now())?;
        if self.out.try_exists()? {
            // Before a copy of the key is kept that nothing was made with.
            return Err(format!("`{}` is there already", self.out.display()).into());
        }
        let kek = self.kek()?;
        let material = confirmed.wrap(&kek)?;
        self.keep(&kek)?;
        file::make_shared(&self.out, &serde_json::to_vec_pretty(&material)?)?;
        report(&material, &self.out)
    }

    fn kek(&self) -> Result<Secret, Failure> {
        self.key_file.as_deref().map_or_else(|| Ok(Secret::random(KEK_LEN)), read_kek)
    }

    /// The copy that was asked for is on the disk before the material is.
    fn keep(&self, kek: &Secret) -> Result<(), Failure> {
        match (&self.keep, &self.key_file) {
            (Some(path), _) => {
                #[expect(clippy::disallowed_methods, reason = "a person asked for a copy of the key")]
                file::make_private(path, kek.expose())?;
                eprintln!("warning: `{}` holds the KEK in clear; lock it away, or destroy it", path.display());
            }
            (None, Some(_)) => {}
            (None, None) => {
                eprintln!("warning: nobody keeps a copy of this KEK; if the provider loses it, its records are lost");
            }
        }
        Ok(())
    }
}

fn read_parameters(path: &Path) -> Result<Parameters, Failure> {
    let bytes = fs::read(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    from_json(&bytes).map_err(|error| format!("`{}` holds no parameters: {error}", path.display()).into())
}

/// Typed, not confirmed: who has to type it has looked at another source than this screen.
fn ask_fingerprint() -> Result<Fingerprint, Failure> {
    eprintln!("type the fingerprint of the wrapping key as it was printed where the parameters were made:");
    let mut answer = String::new();
    io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)?;
    Ok(answer.parse()?)
}

/// A KEK from a file that nobody but its owner may touch.
fn read_kek(path: &Path) -> Result<Secret, Failure> {
    let mut file = File::open(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    let (mode, len) = (file.metadata()?.mode() & 0o777, file.metadata()?.len());
    if mode & OTHERS != 0 {
        return Err(
            format!("`{}` has mode {mode:03o}; only its owner may have access: chmod 600", path.display()).into()
        );
    }
    if len != KEK_LEN as u64 {
        return Err(format!("`{}` has {len} bytes; an AES-256 key has {KEK_LEN}", path.display()).into());
    }
    let mut bytes = Zeroizing::new([0; KEK_LEN]);
    file.read_exact(&mut *bytes)?;
    Ok(Secret::copied_from(&*bytes))
}

fn report(material: &Material, out: &Path) -> Result<(), Failure> {
    output::line(&format!("wrapping key  {}", material.fingerprint))?;
    output::line(&format!("check value   {}", material.check_value))?;
    output::line(&format!("material      {}", out.display()))
}
