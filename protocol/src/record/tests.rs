use super::{
    BundleError, Context, KeySchedule, MAX_BUNDLE, MAX_MATERIAL, Mismatch, RecordName, SUITE, UserSecret,
    WrappingSecret, needs_user_secret, open_bundle, seal_bundle,
};
use proptest::prelude::*;
use secret::Secret;
use uuid::Uuid;

fn name() -> RecordName {
    RecordName {
        tenant: "acme".parse().unwrap(),
        user: "alice@example.org".parse().unwrap(),
        kind: "identity".parse().unwrap(),
        generation: 3,
        record: Uuid::from_u128(1),
        device: Uuid::from_u128(2),
        suite: SUITE,
    }
}

fn user_secret() -> UserSecret {
    Secret::random(32).try_into().unwrap()
}

#[test]
fn every_part_of_a_name_changes_the_context() {
    let base = name();
    let others = [
        RecordName { tenant: "acm".parse().unwrap(), ..base.clone() },
        RecordName { user: "bob".parse().unwrap(), ..base.clone() },
        RecordName { kind: "archive".parse().unwrap(), ..base.clone() },
        RecordName { generation: 4, ..base.clone() },
        RecordName { record: Uuid::from_u128(2), ..base.clone() },
        RecordName { device: Uuid::from_u128(1), ..base.clone() },
        RecordName { suite: 2, ..base.clone() },
    ];
    for other in others {
        assert_ne!(other.context(), base.context(), "{other:?}");
    }
}

#[test]
fn a_payload_gives_its_secret_to_its_own_context_only() {
    let context = name().context();
    let wrapping = WrappingSecret::generate();
    let taken = WrappingSecret::from_payload(wrapping.payload(&context), &context).unwrap();
    let keys = |secret| *KeySchedule::new(secret, None, &context).commitment();
    assert_eq!(keys(&taken), keys(&wrapping));
    let other = Context([0; 32]);
    assert_eq!(WrappingSecret::from_payload(wrapping.payload(&other), &context).unwrap_err(), Mismatch);
    for len in [0, 31, 32, 63, 65] {
        assert_eq!(WrappingSecret::from_payload(Secret::random(len), &context).unwrap_err(), Mismatch);
    }
}

#[test]
fn a_bundle_opens_with_its_own_factors_and_commitment_only() {
    let (context, wrapping, user) = (name().context(), WrappingSecret::generate(), user_secret());
    let keys = KeySchedule::new(&wrapping, Some(&user), &context);
    let bundle = seal_bundle(&keys, &Secret::copied_from(b"material")).unwrap();
    assert!(needs_user_secret(&bundle).unwrap());
    assert!(open_bundle(&keys, keys.commitment(), &bundle).unwrap().matches(b"material"));

    let refusal =
        |keys: &KeySchedule, commitment: &[u8; 32], bundle: &[u8]| open_bundle(keys, commitment, bundle).unwrap_err();
    let without = KeySchedule::new(&wrapping, None, &context);
    assert_eq!(refusal(&without, keys.commitment(), &bundle), BundleError::Factors);
    let wrong = KeySchedule::new(&wrapping, Some(&user_secret()), &context);
    assert_eq!(refusal(&wrong, keys.commitment(), &bundle), BundleError::Commitment);
    // Its own commitment: what a broker that exchanges both would send.
    assert_eq!(refusal(&wrong, wrong.commitment(), &bundle), BundleError::Altered);
    let elsewhere = KeySchedule::new(&wrapping, Some(&user), &Context([0; 32]));
    assert_eq!(refusal(&elsewhere, keys.commitment(), &bundle), BundleError::Commitment);
    for at in 1..bundle.len() {
        let mut altered = bundle.clone();
        altered[at] ^= 1;
        assert_eq!(refusal(&keys, keys.commitment(), &altered), BundleError::Altered, "byte {at}");
    }
}

#[test]
fn a_bundle_holds_up_to_64_kib() {
    let keys = KeySchedule::new(&WrappingSecret::generate(), None, &name().context());
    let largest = seal_bundle(&keys, &Secret::random(MAX_MATERIAL)).unwrap();
    assert_eq!(largest.len(), MAX_BUNDLE);
    assert_eq!(open_bundle(&keys, keys.commitment(), &largest).unwrap().len(), MAX_MATERIAL);
    for len in [0, MAX_MATERIAL + 1] {
        assert_eq!(seal_bundle(&keys, &Secret::random(len)), Err(BundleError::MaterialLength));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_opening_panic(bundle in proptest::collection::vec(any::<u8>(), 0..100)) {
        let keys = KeySchedule::new(&WrappingSecret::generate(), None, &name().context());
        prop_assert!(open_bundle(&keys, keys.commitment(), &bundle).is_err());
    }
}
