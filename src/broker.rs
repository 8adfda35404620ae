//! The broker's parts, put together once at start and shared by every request.

use crate::attestation::Attestation;
use crate::caller::Administrators;
use crate::clock::Clock;
use crate::commit::Committer;
use crate::countries::Countries;
use crate::disk::Disk;
use crate::feeds::Feeds;
use crate::health::Health;
use crate::inventory::Inventory;
use crate::issuers::Issuers;
use crate::keys::Keys;
use crate::kms::Kms;
use crate::latency::Latencies;
use crate::limits::Limits;
use crate::nonce::Nonces;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::pending::{Joining, Pending, PendingAct};
use crate::quorum::Quorum;
use crate::quota::Quotas;
use crate::reserved::Reserved;
use crate::roster::Bootstrap;
use crate::rulebook::Rulebook;
use crate::sessions::Sessions;
use crate::sso::Sso;
use crate::store::Store;
use crate::testimony::Testimony;
use audit::finding::Settings;
use identity::passkey::RelyingParty;
use protocol::jws::PublicJwk;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Everything that operations need.
#[derive(Debug)]
pub struct Broker {
    /// The only `now`.
    pub clock: Arc<Clock>,
    /// For reading.
    pub store: Store,
    /// For writing.
    pub committer: Committer,
    /// The broker's own keys.
    pub keys: Arc<Keys>,
    /// Which devices are whose.
    pub inventory: Arc<Inventory>,
    /// What the logs say, as far as they were read.
    pub testimony: Arc<Testimony>,
    /// Who must have seen an intent before its release.
    pub quorum: Quorum,
    /// Replay nonces.
    pub nonces: Nonces,
    /// What decides whether.
    pub policies: Rulebook,
    /// How long policies that may be weaker wait before they take effect.
    pub weakening_delay: Duration,
    /// Where customers' keys live.
    pub kms: Kms,
    /// Whether their keys open.
    pub health: Health,
    /// How fast those may read the log for whom nobody waits.
    pub pace: Arc<Pace>,
    /// How far each sink is.
    pub feeds: Feeds,
    /// Whom the broker tells at once.
    pub outbox: Outbox,
    /// What not every tenant may register.
    pub reserved: Reserved,
    /// Which findings are raised.
    pub findings: Settings,
    /// How long devices waited.
    pub latencies: Latencies,
    /// Cancelled when the broker is told to stop: what would go on for ever ends then.
    pub stopping: CancellationToken,
    /// Runs what nobody waits for, so that it delays nobody.
    pub background: Handle,
    /// How many restores users and tenants may ask for.
    pub quotas: Arc<Quotas>,
    /// How often anyone may ask.
    pub limits: Limits,
    /// Where requests come from.
    pub countries: Countries,
    /// Whether there is room to write.
    pub disk: Disk,
    /// Who may administer.
    pub admins: Administrators,
    /// Who is signed in.
    pub sessions: Sessions,
    /// Where they may sign on.
    pub sso: Sso,
    /// Where users log in.
    pub logins: Issuers,
    /// What browsers and authenticators know the broker as.
    pub relying_party: RelyingParty,
    /// The makes of authenticators that may be used.
    pub attestation: Attestation,
    /// The link for the first person who administers.
    pub bootstrap: Bootstrap,
    /// Passkeys that are being made.
    pub joining: Pending<Joining>,
    /// Challenges of those who are signing in.
    pub signing_in: Pending<[u8; 32]>,
    /// What waits for a signature.
    pub acts: Pending<PendingAct>,
    /// Held by who decides on a restore: of two that approve at once, the second sees the first.
    pub deciding: Mutex<()>,
    /// What device requests are signed for: scheme, host and port, no path.
    pub public_url: String,
    /// How long a restore may wait for its release.
    pub restore_lifetime: Duration,
    /// A key that nobody has: stands in for an unknown device's.
    pub decoy: PublicJwk,
}
