//! The messenger of the story: an MLS client (RFC 9420) that loses its phone and comes back from its archive.
//!
//! The archive holds the signature key pair, a pre-shared key and the list of groups, and no epoch secret: bringing
//! those back would undo forward secrecy and fork the group (RFC 9750). So the new phone joins again by an external
//! commit (RFC 9420, section 12.4.3.2), which injects the pre-shared key as proof and removes the leaf of the lost phone.
//! Messages cross as bytes, as through a delivery service.

use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, LeafNode,
    MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, MlsMessageOut, OpenMlsProvider, PreSharedKeyProposal, ProcessedMessageContent, StagedCommit,
    StagedWelcome,
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use std::fmt;
use thiserror::Error;
use tls_codec::{
    Deserialize as _, SecretVLBytes, Serialize as _, Size as _, TlsDeserialize, TlsSerialize, TlsSize, VLBytes,
};
use zeroize::Zeroizing;

const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
const PSK_LABEL: &str = "keyfold demo re-join";
const PSK_BYTES: usize = 32;

/// Why a step of the messenger failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The archive or a message is not what its format says.
    #[error("neither an archive nor an MLS message of this client")]
    Malformed(#[from] tls_codec::Error),
    /// A well-formed MLS message of another kind than the step needs.
    #[error("another kind of MLS message than expected")]
    Unexpected,
    /// The GroupInfo is of a group that the archive does not list.
    #[error("the archive does not list this group")]
    UnknownGroup,
    /// Who joins shows neither the signature key nor the pre-shared key of the member who lost the phone.
    #[error("a re-join without the lost member's signature key and pre-shared key")]
    Unproven,
    /// OpenMLS refused.
    #[error("OpenMLS refused")]
    Mls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    fn mls(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Mls(Box::new(source))
    }
}

/// The phone that will be lost: a member of one group.
pub(crate) struct LostPhone(Member);

impl LostPhone {
    /// Two new members, phone and peer, in a new group.
    pub(crate) fn new() -> Result<(Self, Peer), Error> {
        let mut peer = Member::found_group(Archive::new("peer")?)?;
        let mut phone = peer.invite(Archive::new("phone")?)?;
        peer.agree_on_psk()?;
        phone.agree_on_psk()?;
        let phone_key = phone.archive.keys.to_public_vec();
        Ok((Self(phone), Peer { member: peer, phone_key }))
    }

    /// What the device backs up: signature key pair, pre-shared key and groups, in MLS's presentation language.
    pub(crate) fn archive(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let archive = &self.0.archive;
        // Sized first: growing would leave copies behind that nobody wipes.
        let mut bytes = Zeroizing::new(Vec::with_capacity(archive.tls_serialized_len()));
        archive.tls_serialize(&mut *bytes)?;
        Ok(bytes)
    }
}

/// Joins the group of `peer` again, on a new device, with nothing but the archive.
pub(crate) fn rejoin(archive: &[u8], peer: &mut Peer) -> Result<Rejoined, Error> {
    let archive = Archive::tls_deserialize_exact(archive)?;
    let (member, commit) = Member::join_externally(archive, &peer.group_info()?)?;
    peer.admit(&commit)?;
    Ok(Rejoined(member))
}

/// The new phone, again a member.
pub(crate) struct Rejoined(Member);

impl Rejoined {
    /// Decrypts an application message that was sent since the re-join.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<String, Error> {
        self.0.read(message)
    }
}

/// The other member, who stays, and who lets the lost member in again.
pub(crate) struct Peer {
    member: Member,
    phone_key: Vec<u8>,
}

impl Peer {
    /// Encrypts an application message to the group as it is now.
    pub(crate) fn say(&mut self, text: &str) -> Result<Vec<u8>, Error> {
        self.member.say(text)
    }

    /// The GroupInfo with external public key and ratchet tree: what a delivery service keeps for those who join.
    fn group_info(&self) -> Result<Vec<u8>, Error> {
        let Member { archive, provider, group } = &self.member;
        let info = group.export_group_info(provider.crypto(), &archive.keys, true).map_err(Error::mls)?;
        Ok(info.tls_serialize_detached()?)
    }

    /// Merges the external commit of the lost member.
    ///
    /// MLS itself would let in anybody who has the GroupInfo; that the newcomer has the old keys is for the client to ask.
    fn admit(&mut self, commit: &[u8]) -> Result<(), Error> {
        let ProcessedMessageContent::StagedCommitMessage(commit) = self.member.process(commit)? else {
            return Err(Error::Unexpected);
        };
        if !(injects_psk(&commit)? && self.is_phone(commit.update_path_leaf_node())) {
            return Err(Error::Unproven);
        }
        self.member.group.merge_staged_commit(&self.member.provider, *commit).map_err(Error::mls)
    }

    fn is_phone(&self, leaf: Option<&LeafNode>) -> bool {
        leaf.is_some_and(|leaf| leaf.signature_key().as_slice() == self.phone_key)
    }
}

/// Whether the commit mixes the agreed key into the new epoch. Processing it has shown that the values are the same.
fn injects_psk(commit: &StagedCommit) -> Result<bool, Error> {
    for queued in commit.psk_proposals() {
        let proposal = queued.psk_proposal().tls_serialize_detached()?;
        if *PreSharedKeyId::tls_deserialize_exact(proposal)?.psk() == psk_name(PSK_LABEL.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What outlives a device; nothing of a group's state.
#[derive(TlsSerialize, TlsDeserialize, TlsSize)]
struct Archive {
    name: VLBytes,
    keys: SignatureKeyPair,
    psks: Vec<SharedKey>,
    groups: Vec<GroupId>,
}

#[derive(TlsSerialize, TlsDeserialize, TlsSize)]
struct SharedKey {
    name: VLBytes,
    secret: SecretVLBytes,
}

impl Archive {
    fn new(name: &str) -> Result<Self, Error> {
        let keys = SignatureKeyPair::new(CIPHERSUITE.signature_algorithm()).map_err(Error::mls)?;
        Ok(Self { name: name.as_bytes().into(), keys, psks: Vec::new(), groups: Vec::new() })
    }

    fn credential(&self) -> CredentialWithKey {
        let credential = BasicCredential::new(self.name.as_slice().to_vec()).into();
        CredentialWithKey { credential, signature_key: self.keys.to_public_vec().into() }
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SharedKey {
    /// Puts the key where OpenMLS looks for it, and gives the proposal that injects it.
    fn propose(&self, provider: &OpenMlsRustCrypto) -> Result<PreSharedKeyProposal, Error> {
        let name = psk_name(self.name.as_slice());
        let id = PreSharedKeyId::new(CIPHERSUITE, provider.rand(), name).map_err(Error::mls)?;
        id.store(provider, self.secret.as_slice()).map_err(Error::mls)?;
        Ok(PreSharedKeyProposal::new(id))
    }
}

fn psk_name(name: &[u8]) -> Psk {
    Psk::External(ExternalPsk::new(name.to_vec()))
}

/// A client in one group.
struct Member {
    archive: Archive,
    provider: OpenMlsRustCrypto,
    group: MlsGroup,
}

impl Member {
    fn new(mut archive: Archive, provider: OpenMlsRustCrypto, group: MlsGroup) -> Self {
        archive.groups = vec![group.group_id().clone()];
        Self { archive, provider, group }
    }

    fn found_group(archive: Archive) -> Result<Self, Error> {
        let provider = OpenMlsRustCrypto::default();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(CIPHERSUITE)
            .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let group = MlsGroup::new(&provider, &archive.keys, &config, archive.credential()).map_err(Error::mls)?;
        Ok(Self::new(archive, provider, group))
    }

    /// Adds the owner of `archive` to the group, by key package and welcome.
    fn invite(&mut self, archive: Archive) -> Result<Self, Error> {
        let provider = OpenMlsRustCrypto::default();
        let invited = KeyPackage::builder()
            .build(CIPHERSUITE, &provider, &archive.keys, archive.credential())
            .map_err(Error::mls)?;
        let packages = [invited.key_package().clone()];
        let (_, welcome, _) =
            self.group.add_members(&self.provider, &self.archive.keys, &packages).map_err(Error::mls)?;
        self.group.merge_pending_commit(&self.provider).map_err(Error::mls)?;
        let MlsMessageBodyIn::Welcome(welcome) = across(&welcome)? else { return Err(Error::Unexpected) };
        let group = StagedWelcome::new_from_welcome(&provider, &join_config(), welcome, None)
            .and_then(|welcome| welcome.into_group(&provider))
            .map_err(Error::mls)?;
        Ok(Self::new(archive, provider, group))
    }

    /// Derives the re-join key from the epoch that all members share now (RFC 9420, section 8.5).
    fn agree_on_psk(&mut self) -> Result<(), Error> {
        let secret = self.group.export_secret(self.provider.crypto(), PSK_LABEL, &[], PSK_BYTES).map_err(Error::mls)?;
        let psk = SharedKey { name: PSK_LABEL.as_bytes().into(), secret: SecretVLBytes::new(secret) };
        psk.propose(&self.provider)?;
        self.archive.psks.push(psk);
        Ok(())
    }

    /// The member that the external commit makes of the owner of `archive`, and that commit.
    fn join_externally(archive: Archive, group_info: &[u8]) -> Result<(Self, Vec<u8>), Error> {
        let provider = OpenMlsRustCrypto::default();
        let info = listed_group(&archive, group_info)?;
        let proposals = archive.psks.iter().map(|psk| psk.propose(&provider)).collect::<Result<Vec<_>, _>>()?;
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(join_config())
            .build_group(&provider, info, archive.credential())
            .map_err(Error::mls)?
            .add_psk_proposals(proposals)
            .load_psks(provider.storage())
            .map_err(Error::mls)?
            .build(provider.rand(), provider.crypto(), &archive.keys, |_| true)
            .map_err(Error::mls)?
            .finalize(&provider)
            .map_err(Error::mls)?;
        let commit = bundle.into_commit().tls_serialize_detached()?;
        Ok((Self::new(archive, provider, group), commit))
    }

    fn say(&mut self, text: &str) -> Result<Vec<u8>, Error> {
        let message =
            self.group.create_message(&self.provider, &self.archive.keys, text.as_bytes()).map_err(Error::mls)?;
        Ok(message.tls_serialize_detached()?)
    }

    fn read(&mut self, message: &[u8]) -> Result<String, Error> {
        let ProcessedMessageContent::ApplicationMessage(message) = self.process(message)? else {
            return Err(Error::Unexpected);
        };
        String::from_utf8(message.into_bytes()).map_err(Error::mls)
    }

    fn process(&mut self, message: &[u8]) -> Result<ProcessedMessageContent, Error> {
        let message = MlsMessageIn::tls_deserialize_exact(message)?;
        let message = message.try_into_protocol_message().map_err(|_| Error::Unexpected)?;
        let processed = self.group.process_message(&self.provider, message).map_err(Error::mls)?;
        Ok(processed.into_content())
    }
}

/// The GroupInfo in `message`, refused unless it is of a group that the archive lists.
fn listed_group(archive: &Archive, message: &[u8]) -> Result<VerifiableGroupInfo, Error> {
    let MlsMessageBodyIn::GroupInfo(info) = MlsMessageIn::tls_deserialize_exact(message)?.extract() else {
        return Err(Error::Unexpected);
    };
    if archive.groups.contains(info.group_id()) { Ok(info) } else { Err(Error::UnknownGroup) }
}

fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .build()
}

/// What the delivery service hands on.
fn across(message: &MlsMessageOut) -> Result<MlsMessageBodyIn, Error> {
    Ok(MlsMessageIn::tls_deserialize_exact(message.tls_serialize_detached()?)?.extract())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive that was changed on the way.
    fn forged(archive: &[u8], change: impl FnOnce(&mut Archive)) -> Vec<u8> {
        let mut archive = Archive::tls_deserialize_exact(archive).unwrap();
        change(&mut archive);
        archive.tls_serialize_detached().unwrap()
    }

    #[test]
    fn comes_back_from_the_archive_alone() {
        let (mut phone, mut peer) = LostPhone::new().unwrap();
        assert_eq!(phone.0.read(&peer.say("before").unwrap()).unwrap(), "before");
        let archive = phone.archive().unwrap();
        let missed = peer.say("while it was lost").unwrap();

        let mut rejoined = rejoin(&archive, &mut peer).unwrap();
        let message = peer.say("welcome back").unwrap();
        assert_eq!(rejoined.read(&message).unwrap(), "welcome back");
        assert_eq!(peer.member.read(&rejoined.0.say("thanks").unwrap()).unwrap(), "thanks");

        assert!(rejoined.read(&missed).is_err(), "forward secrecy: no epoch secret was in the archive");
        assert_eq!(peer.member.group.members().count(), 2, "the leaf of the lost phone is gone");
    }

    #[test]
    fn shuts_the_lost_phone_out() {
        let (mut phone, mut peer) = LostPhone::new().unwrap();
        let archive = Archive::tls_deserialize_exact(&*phone.archive().unwrap()).unwrap();
        let (_, commit) = Member::join_externally(archive, &peer.group_info().unwrap()).unwrap();
        peer.admit(&commit).unwrap();

        let ProcessedMessageContent::StagedCommitMessage(commit) = phone.0.process(&commit).unwrap() else {
            panic!("a commit");
        };
        phone.0.group.merge_staged_commit(&phone.0.provider, *commit).unwrap();
        assert!(!phone.0.group.is_active());
        assert!(phone.0.read(&peer.say("after").unwrap()).is_err());
    }

    #[test]
    fn joins_no_group_that_the_archive_does_not_list() {
        let (phone, peer) = LostPhone::new().unwrap();
        let archive = || Archive::tls_deserialize_exact(&*phone.archive().unwrap()).unwrap();
        let (_, other) = LostPhone::new().unwrap();
        let info = |peer: &Peer| peer.group_info().unwrap();
        assert!(Member::join_externally(archive(), &info(&peer)).is_ok());
        assert!(matches!(Member::join_externally(archive(), &info(&other)), Err(Error::UnknownGroup)));
    }

    #[test]
    fn comes_back_twice() {
        let (phone, mut peer) = LostPhone::new().unwrap();
        let first = LostPhone(rejoin(&phone.archive().unwrap(), &mut peer).unwrap().0);
        let mut second = rejoin(&first.archive().unwrap(), &mut peer).unwrap();
        assert_eq!(second.read(&peer.say("again").unwrap()).unwrap(), "again");
    }

    #[test]
    fn the_peer_lets_in_nobody_without_both_keys() {
        let (phone, mut peer) = LostPhone::new().unwrap();
        let archive = phone.archive().unwrap();
        let epoch = peer.member.group.epoch();
        let mut refused = |change: fn(&mut Archive)| match rejoin(&forged(&archive, change), &mut peer) {
            Ok(_) => panic!("let in"),
            Err(error) => error,
        };
        assert!(matches!(refused(|archive| archive.psks.clear()), Error::Unproven));
        assert!(matches!(refused(|archive| archive.psks[0].secret = SecretVLBytes::new(vec![7; 32])), Error::Mls(_)));
        let other_key = |archive: &mut Archive| archive.keys = Archive::new("phone").unwrap().keys;
        assert!(matches!(refused(other_key), Error::Unproven));
        assert!(matches!(refused(|archive| archive.groups.clear()), Error::UnknownGroup));
        assert_eq!(peer.member.group.epoch(), epoch);
        rejoin(&archive, &mut peer).unwrap();
    }

    #[test]
    fn a_truncated_archive_is_refused() {
        let (phone, mut peer) = LostPhone::new().unwrap();
        let archive = phone.archive().unwrap();
        for length in 0..archive.len() {
            assert!(matches!(rejoin(&archive[..length], &mut peer), Err(Error::Malformed(_))), "{length} bytes");
        }
    }
}
