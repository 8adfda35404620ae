//! The broker's own keys. One of them is wrapped by the root provider and seals all the others: without the root, the
//! broker cannot start.

use crate::clock::Timestamp;
use crate::store::broker_keys::{self, BrokerKey, Purpose};
use crate::store::{Store, StoreError, subjects};
use audit::leaf::EventKey;
use audit::note::LogKey;
use audit::subject::SubjectKey;
use audit::{InvalidOrigin, Origin};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use protocol::sealing::OpeningKey;
use providers::{Context, KeyProvider, KeyRef, Wrapped};
use secret::Secret;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Length of every one of the broker's own keys, in bytes.
const KEY_LEN: usize = 32;

/// The broker's own keys are missing, foreign or damaged.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The root provider did not unwrap the sealing key: wrong root key, or a database of another broker.
    #[error("the root provider does not open this database's keys")]
    Root(#[source] providers::Error),
    /// A sealed key does not open: the database was altered.
    #[error("a sealed {} key does not open", .0.as_str())]
    Sealed(Purpose),
    /// A key that the tenant needs is not there.
    #[error("the tenant has no {} key", .0.as_str())]
    Missing(Purpose),
    /// A sealed row does not open, or not where it was found: the database was altered.
    #[error("a row of `{0}` does not open")]
    Document(&'static str),
    /// The person's key was destroyed: erased from the log, and from further use.
    #[error("the key of this data subject was destroyed")]
    SubjectErased,
    /// Host and tenant do not make the name of a log.
    #[error("the tenant cannot have a log")]
    Origin(#[from] InvalidOrigin),
    /// The database could not be read.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// What a tenant's own keys are.
#[derive(Debug)]
pub struct TenantKeys {
    /// Signs the tenant's checkpoints.
    pub log: LogKey,
    /// Opens what devices seal; newest first, and the newest is the one to hand out.
    pub ingress: Vec<IngressKey>,
}

/// A key that devices seal to.
#[derive(Debug)]
pub struct IngressKey {
    /// What requests call it.
    pub id: Uuid,
    /// Unix milliseconds.
    pub created_at: Timestamp,
    /// The private half.
    pub opening: OpeningKey,
    /// The log key's signature for id and public half, as devices demand it.
    pub endorsement: String,
}

/// An ingress key is still accepted for so long after it was followed by another, in milliseconds.
const INGRESS_GRACE: i64 = 24 * 3_600 * 1_000;

impl TenantKeys {
    /// The ingress key of this name, if devices may still seal to it at `now`.
    #[must_use]
    pub fn accepted(&self, id: &str, now: Timestamp) -> Option<&IngressKey> {
        let place = self.ingress.iter().position(|key| key.id.to_string() == id)?;
        let successor = place.checked_sub(1).and_then(|newer| self.ingress.get(newer));
        self.ingress.get(place).filter(|_| successor.is_none_or(|newer| now - newer.created_at < INGRESS_GRACE))
    }

    /// The ingress keys that nothing may be sealed to any more: to be destroyed, so that no later theft opens old wraps.
    #[must_use]
    pub fn retired(&self, now: Timestamp) -> Vec<Uuid> {
        let ids = self.ingress.iter().map(|key| key.id);
        ids.filter(|id| self.accepted(&id.to_string(), now).is_none()).collect()
    }
}

/// The broker's own keys, opened.
#[derive(Debug)]
pub struct Keys {
    seal: RandomizedNonceKey,
    host: String,
    store: Store,
    /// Signs every event.
    pub event: EventKey,
    /// Authenticates nonces.
    pub nonce: Secret,
    tenants: RwLock<HashMap<String, Arc<TenantKeys>>>,
    subjects: RwLock<SubjectKeys>,
}

/// The subjects' keys that are open, by tenant and subject.
#[derive(Debug, Default)]
struct SubjectKeys {
    open: HashMap<(String, String), Arc<SubjectKey>>,
    /// Counts erasures: a key that was read before one may not be kept after it.
    erasures: u64,
}

/// How many subjects' keys stay open; more are read again when needed.
const SUBJECTS_KEPT: usize = 20_000;

impl Keys {
    /// Opens the keys of this database by `root`; makes them when the database is new.
    ///
    /// `host` is the first part of every log's origin.
    pub async fn open(
        store: &Store,
        root: (&dyn KeyProvider, &KeyRef),
        host: String,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let own = broker_keys::of_tenant(&mut *store.reader().await?, "").await?;
        let (seal, own) =
            if own.is_empty() { create(store, root, now).await? } else { (unwrap_seal(&own, root).await?, own) };
        let open = |purpose| {
            let key = own.iter().find(|key| key.purpose == purpose).ok_or(KeyError::Missing(purpose))?;
            unseal(&seal, key)
        };
        Ok(Self {
            event: EventKey::from_seed(&open(Purpose::Event)?).map_err(|_| KeyError::Sealed(Purpose::Event))?,
            nonce: open(Purpose::Nonce)?,
            seal,
            host,
            store: store.clone(),
            tenants: RwLock::default(),
            subjects: RwLock::default(),
        })
    }

    /// The name of a tenant's log in checkpoints, leaves and event ids: `<host>/<tenant>`.
    pub fn origin(&self, tenant: &str) -> Result<Origin, KeyError> {
        Ok(Origin::new(&format!("{}/{tenant}", self.host))?)
    }

    /// A new key for `tenant`, sealed, ready to be stored.
    #[must_use]
    pub fn make(&self, tenant: &str, purpose: Purpose, now: Timestamp) -> BrokerKey {
        make(&self.seal, tenant, purpose, now)
    }

    /// A new key for a data subject, sealed, ready to be stored.
    #[must_use]
    pub fn make_subject(&self, tenant: &str, subject: &str) -> Vec<u8> {
        seal_key(&self.seal, &subject_aad(tenant, subject), &Secret::random(KEY_LEN))
    }

    /// Seals what only the broker may write, bound to its table and its name there.
    #[must_use]
    pub fn seal_document(&self, (table, name): (&'static str, &str), document: &[u8]) -> Vec<u8> {
        seal_bytes(&self.seal, &document_aad(table, name), document)
    }

    /// Opens a document that was sealed for this place.
    pub fn open_document(&self, (table, name): (&'static str, &str), sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let opened = unseal_bytes(&self.seal, &document_aad(table, name), sealed);
        opened.map(|document| document.to_vec()).ok_or(KeyError::Document(table))
    }

    /// The tenant's log and ingress keys.
    pub async fn of_tenant(&self, tenant: &str) -> Result<Arc<TenantKeys>, KeyError> {
        if let Some(keys) = read(&self.tenants).get(tenant) {
            return Ok(keys.clone());
        }
        let rows = broker_keys::of_tenant(&mut *self.store.reader().await?, tenant).await?;
        let keys = Arc::new(self.open_tenant(tenant, &rows)?);
        write(&self.tenants).insert(tenant.to_owned(), keys.clone());
        Ok(keys)
    }

    /// The tenant's log key before its row can be read: while the tenant is being created.
    pub(crate) fn open_tenant(&self, tenant: &str, rows: &[BrokerKey]) -> Result<TenantKeys, KeyError> {
        let log = rows.iter().find(|key| key.purpose == Purpose::Log).ok_or(KeyError::Missing(Purpose::Log))?;
        let ingress = rows.iter().filter(|key| key.purpose == Purpose::Ingress);
        let seed = unseal(&self.seal, log)?;
        let log = LogKey::from_seed(&self.origin(tenant)?, &seed).map_err(|_| KeyError::Sealed(Purpose::Log))?;
        let ingress = ingress.map(|key| open_ingress(&self.seal, key, &log)).collect::<Result<_, KeyError>>()?;
        Ok(TenantKeys { log, ingress })
    }

    /// Makes the next use of the tenant's keys read them anew.
    pub fn forget_tenant(&self, tenant: &str) {
        write(&self.tenants).remove(tenant);
    }

    /// The key that the disclosures about `subject` are sealed under; `""` is the tenant itself.
    pub async fn of_subject(&self, tenant: &str, subject: &str) -> Result<Arc<SubjectKey>, KeyError> {
        self.of_subject_in(&self.store, tenant, subject).await
    }

    /// The same, by a reader of `store` where it has to be read.
    pub async fn of_subject_in(&self, store: &Store, tenant: &str, subject: &str) -> Result<Arc<SubjectKey>, KeyError> {
        let name = (tenant.to_owned(), subject.to_owned());
        let erasures = {
            let kept = read(&self.subjects);
            if let Some(key) = kept.open.get(&name) {
                return Ok(key.clone());
            }
            kept.erasures
        };
        let sealed = subjects::find(&mut *store.reader().await?, tenant, subject).await?;
        let key = self.open_subject(tenant, subject, &sealed.ok_or(KeyError::SubjectErased)?)?;
        let mut kept = write(&self.subjects);
        if kept.open.len() >= SUBJECTS_KEPT {
            kept.open.clear();
        }
        if kept.erasures == erasures {
            kept.open.insert(name, key.clone());
        }
        Ok(key)
    }

    /// Forgets the key of a person who was erased.
    pub fn forget_subject(&self, tenant: &str, subject: &str) {
        let mut kept = write(&self.subjects);
        kept.open.remove(&(tenant.to_owned(), subject.to_owned()));
        kept.erasures += 1;
    }

    /// Seals a notice until it is sent: whoever writes the database cannot have the broker say anything of theirs.
    #[must_use]
    pub fn seal_notice(&self, tenant: &str, id: Uuid, envelope: &[u8]) -> Vec<u8> {
        seal_bytes(&self.seal, &notice_aad(tenant, id), envelope)
    }

    /// Opens what [`Self::seal_notice`] has sealed; `None` where it was altered, or moved from another row.
    #[must_use]
    pub fn open_notice(&self, tenant: &str, id: Uuid, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        unseal_bytes(&self.seal, &notice_aad(tenant, id), sealed)
    }

    /// A key that is kept nowhere: what it seals is gone.
    pub(crate) fn nobodys_subject() -> Result<Arc<SubjectKey>, KeyError> {
        SubjectKey::new(&Secret::random(KEY_LEN)).map(Arc::new).map_err(|_| KeyError::SubjectErased)
    }

    /// Opens a subject's key before its row can be read: while the subject is being created.
    pub(crate) fn open_subject(&self, tenant: &str, subject: &str, sealed: &[u8]) -> Result<Arc<SubjectKey>, KeyError> {
        let altered = KeyError::Document("subjects");
        let Some(key) = unseal_key(&self.seal, &subject_aad(tenant, subject), sealed) else { return Err(altered) };
        SubjectKey::new(&key).map(Arc::new).map_err(|_| altered)
    }
}

fn open_ingress(seal: &RandomizedNonceKey, key: &BrokerKey, log: &LogKey) -> Result<IngressKey, KeyError> {
    let opening = OpeningKey::from_seed(&unseal(seal, key)?).map_err(|_| KeyError::Sealed(Purpose::Ingress))?;
    let endorsement = log.endorse_ingress(&key.id.to_string(), &opening.public().hash());
    Ok(IngressKey { id: key.id, created_at: key.created_at, opening, endorsement })
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().expect("invariant: nothing panics while holding this lock")
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().expect("invariant: nothing panics while holding this lock")
}

async fn create(
    store: &Store,
    (root, root_key): (&dyn KeyProvider, &KeyRef),
    now: Timestamp,
) -> Result<(RandomizedNonceKey, Vec<BrokerKey>), KeyError> {
    let secret = Secret::random(KEY_LEN);
    let id = Uuid::now_v7();
    let wrapped = root.wrap_key(root_key, &secret, &seal_context(id)).await.map_err(KeyError::Root)?;
    let seal = cipher(&secret);
    let sealed = join_wrapped(&wrapped);
    let own = [
        BrokerKey { id, tenant: String::new(), purpose: Purpose::Seal, sealed, created_at: now },
        make(&seal, "", Purpose::Event, now),
        make(&seal, "", Purpose::Nonce, now),
    ];
    broker_keys::insert_together(&mut *store.writer().await?, &own).await?;
    Ok((seal, own.into()))
}

async fn unwrap_seal(
    own: &[BrokerKey],
    (root, root_key): (&dyn KeyProvider, &KeyRef),
) -> Result<RandomizedNonceKey, KeyError> {
    let seal = own.iter().find(|key| key.purpose == Purpose::Seal).ok_or(KeyError::Missing(Purpose::Seal))?;
    let wrapped = split_wrapped(&seal.sealed).ok_or(KeyError::Sealed(Purpose::Seal))?;
    let secret = root.unwrap_key(root_key, &wrapped, &seal_context(seal.id)).await.map_err(KeyError::Root)?;
    Ok(cipher(&secret))
}

/// The provider's bytes, after its version: its length in two bytes, big endian, and its text.
fn join_wrapped(wrapped: &Wrapped) -> Vec<u8> {
    let length = u16::try_from(wrapped.version.len()).expect("invariant: versions are short names");
    [&length.to_be_bytes(), wrapped.version.as_bytes(), &wrapped.bytes].concat()
}

fn split_wrapped(sealed: &[u8]) -> Option<Wrapped> {
    let (length, rest) = sealed.split_first_chunk()?;
    let (version, bytes) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some(Wrapped { version: str::from_utf8(version).ok()?.to_owned(), bytes: bytes.to_vec() })
}

fn seal_context(id: Uuid) -> Context {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"keyfold/1 broker seal");
    hash.update(id.as_bytes());
    Context::new(hash.finish().as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes"))
}

fn cipher(secret: &Secret) -> RandomizedNonceKey {
    #[expect(clippy::disallowed_methods, reason = "the sealing key goes into aws-lc's own key type")]
    let key = RandomizedNonceKey::new(&AES_256_GCM, secret.expose());
    key.expect("invariant: sealing keys have 32 bytes")
}

fn make(seal: &RandomizedNonceKey, tenant: &str, purpose: Purpose, now: Timestamp) -> BrokerKey {
    let id = Uuid::now_v7();
    let sealed = seal_key(seal, &key_aad(id, tenant, purpose), &Secret::random(KEY_LEN));
    BrokerKey { id, tenant: tenant.into(), purpose, sealed, created_at: now }
}

fn unseal(seal: &RandomizedNonceKey, key: &BrokerKey) -> Result<Secret, KeyError> {
    unseal_key(seal, &key_aad(key.id, &key.tenant, key.purpose), &key.sealed).ok_or(KeyError::Sealed(key.purpose))
}

fn key_aad(id: Uuid, tenant: &str, purpose: Purpose) -> String {
    format!("keyfold/1 broker key\n{}\n{tenant}\n{id}", purpose.as_str())
}

fn subject_aad(tenant: &str, subject: &str) -> String {
    format!("keyfold/1 subject key\n{tenant}\n{subject}")
}

fn notice_aad(tenant: &str, id: Uuid) -> String {
    format!("keyfold/1 notice\n{tenant}\n{id}")
}

fn document_aad(table: &str, name: &str) -> String {
    format!("keyfold/1 document\n{table}\n{name}")
}

fn seal_key(seal: &RandomizedNonceKey, aad: &str, key: &Secret) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "encrypted at once, in the buffer that is stored")]
    seal_bytes(seal, aad, key.expose())
}

/// `nonce || ciphertext || tag`.
fn seal_bytes(seal: &RandomizedNonceKey, aad: &str, plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = plaintext.to_vec();
    let nonce = seal
        .seal_in_place_append_tag(Aad::from(aad), &mut buffer)
        .expect("invariant: keys and documents are within AES-GCM's limits");
    [&nonce.as_ref()[..], &buffer].concat()
}

fn unseal_key(seal: &RandomizedNonceKey, aad: &str, sealed: &[u8]) -> Option<Secret> {
    let key = unseal_bytes(seal, aad, sealed)?;
    (key.len() == KEY_LEN).then(|| Secret::copied_from(&key))
}

fn unseal_bytes(seal: &RandomizedNonceKey, aad: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = seal.open_in_place(Nonce::from(nonce), Aad::from(aad), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}
