use crate::records::{Record, RecordError, origin_hash};
use crate::request::AddCheckpoint;
use audit::Origin;
use audit::cosignature::CosignerKey;
use audit::note::{self, Checkpoint, NoteError, Verifier};
use audit::tree::{empty_root, verify_consistency};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One that watches logs: of each it has cosigned one history only, also over restarts, as long as it keeps its folder.
#[derive(Debug)]
pub struct Witness {
    key: CosignerKey,
    /// By the hash of the origin. The lock is held from the look at what was cosigned until what is cosigned now is on the
    /// disk.
    logs: BTreeMap<String, Mutex<Record>>,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not an `add-checkpoint` request, a checkpoint with extension lines, or one smaller than the old size.
    #[error("the request is malformed")]
    Malformed,
    /// The log is none of those watched.
    #[error("the log is not known here")]
    UnknownLog,
    /// The log's key did not sign.
    #[error("the log's key did not sign this")]
    Unsigned,
    /// The newest tree that was cosigned has another size than the request says.
    #[error("the newest checkpoint cosigned has size {0}")]
    Conflict(u64),
    /// The checkpoint does not continue the one that was cosigned.
    #[error("the checkpoint does not continue the one that was cosigned")]
    Inconsistent,
    /// What was cosigned cannot be read, or what would be cosigned cannot be written.
    #[error("the witness cannot remember")]
    Record(#[from] RecordError),
}

impl Witness {
    /// Watches the logs of these keys, and remembers in `folder`, which must be there: one that was lost must not look
    /// like one that is new.
    ///
    /// # Errors
    /// [`RecordError`], also when what is remembered is not of these keys.
    pub fn open(key: CosignerKey, folder: &Path, logs: Vec<Verifier>) -> Result<Self, RecordError> {
        std::fs::read_dir(folder)?;
        let record = |verifier: Verifier| {
            let hash = origin_hash(verifier.origin());
            let record = Record::new(folder, verifier, key.cosigner().clone());
            record.read().map(|_| (hash, Mutex::new(record)))
        };
        let logs = logs.into_iter().map(record).collect::<Result<_, _>>()?;
        Ok(Self { key, logs })
    }

    /// Checks a request and gives the cosignature's line, which is on the disk by then. `now` is in Unix seconds.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn add_checkpoint(&self, request: &str, now: u64) -> Result<String, Refusal> {
        let request: AddCheckpoint = request.parse().map_err(|_| Refusal::Malformed)?;
        let origin = note::unverified(&request.checkpoint).map_err(|_| Refusal::Malformed)?.origin;
        let record = self.logs.get(&origin_hash(&origin)).ok_or(Refusal::UnknownLog)?;
        let record = record.lock().unwrap_or_else(PoisonError::into_inner);
        let verifiers = std::slice::from_ref(record.verifier());
        let checkpoint = note::open(&request.checkpoint, verifiers).map_err(refused)?;
        if request.old > checkpoint.size {
            return Err(Refusal::Malformed);
        }
        let cosigned = record.read()?;
        let (known, at) = cosigned.map_or_else(|| (nothing(origin), 0), |cosigned| (cosigned.checkpoint, cosigned.at));
        if request.old != known.size {
            return Err(Refusal::Conflict(known.size));
        }
        check(&known, &checkpoint, &request)?;
        let signed = note::stripped(&request.checkpoint, verifiers).map_err(refused)?;
        // Never dated before the cosignature that it follows, whatever the clock says.
        let line = self.key.cosign(&signed, now.max(at)).map_err(refused)?;
        record.write(&format!("{signed}{line}"))?;
        Ok(line)
    }

    /// The newest checkpoint cosigned of the log whose origin has this SHA-256, in lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`Refusal::UnknownLog`], also when none was cosigned yet; [`Refusal::Record`].
    pub fn checkpoint(&self, origin_hash: &str) -> Result<String, Refusal> {
        let record = self.logs.get(origin_hash).ok_or(Refusal::UnknownLog)?;
        let cosigned = record.lock().unwrap_or_else(PoisonError::into_inner).read()?;
        Ok(cosigned.ok_or(Refusal::UnknownLog)?.note)
    }
}

/// The tree that every log begins with.
fn nothing(origin: Origin) -> Checkpoint {
    Checkpoint { origin, size: 0, root: empty_root() }
}

/// Whether the checkpoint continues what is known. From nothing every tree continues, and needs no proof.
fn check(known: &Checkpoint, checkpoint: &Checkpoint, request: &AddCheckpoint) -> Result<(), Refusal> {
    let sizes = (known.size, checkpoint.size);
    verify_consistency(sizes.0, &known.root, sizes.1, &checkpoint.root, &request.proof)
        .map_err(|_| Refusal::Inconsistent)
}

fn refused(error: NoteError) -> Refusal {
    match error {
        NoteError::Signature | NoteError::Unsigned => Refusal::Unsigned,
        NoteError::Malformed | NoteError::Checkpoint | NoteError::VerifierKey | NoteError::Endorsement => {
            Refusal::Malformed
        }
    }
}
