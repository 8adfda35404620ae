//! Registrations where a tenant demands attestation.

use crate::{NOW, ORIGIN, bytes, person, relying_party};
use counterparts::authenticator::{Authenticator, Make};
use keyfold_identity::passkey::{AttestationRoots, Passkey, PasskeyError};
use uuid::Uuid;

const AAGUID: [u8; 16] = *b"keyfold-software";
const HUNDRED_YEARS: i64 = 100 * 365 * 86_400_000;

fn demanded(roots: &AttestationRoots, mut authenticator: Authenticator, now: i64) -> Result<Passkey, PasskeyError> {
    let (options, registration) = relying_party().begin_registration(&person("ada"), &[], Some(roots)).unwrap();
    assert_eq!(options["publicKey"]["attestation"], "direct");
    let registration = serde_json::from_str(&serde_json::to_string(&registration).unwrap()).unwrap();
    let answer = authenticator.create(&options);
    relying_party().finish_registration(&registration, &bytes(&answer), now)
}

#[test]
fn an_authenticator_of_a_trusted_make_is_taken_and_no_other() {
    let (make, impostor, other) = (Make::new(AAGUID, "ours"), Make::new(AAGUID, "ours"), Make::new(AAGUID, "theirs"));
    let roots = AttestationRoots::from_pem(make.root()).unwrap();
    let passkey = demanded(&roots, Authenticator::of_make(ORIGIN, make.clone()), NOW).unwrap();
    assert_eq!((passkey.is_attested(), passkey.aaguid()), (true, Some(Uuid::from_bytes(AAGUID))));

    for make in [impostor, other.clone()] {
        let refused = demanded(&roots, Authenticator::of_make(ORIGIN, make), NOW);
        assert!(matches!(refused, Err(PasskeyError::Untrusted(_))));
    }
    assert!(matches!(demanded(&roots, Authenticator::new(ORIGIN), NOW), Err(PasskeyError::NotAttested)));
    let mut synchronised = Authenticator::of_make(ORIGIN, make.clone());
    synchronised.manner.synchronised = true;
    assert!(matches!(demanded(&roots, synchronised, NOW), Err(PasskeyError::Synchronised)));

    let both = AttestationRoots::from_pem(&format!("# ours\n{}# theirs\n{}", make.root(), other.root())).unwrap();
    for make in [make, other] {
        demanded(&both, Authenticator::of_make(ORIGIN, make), NOW).unwrap();
    }
}

#[test]
fn certificates_are_judged_at_the_time_that_is_given() {
    let make = Make::new(AAGUID, "ours");
    let roots = AttestationRoots::from_pem(make.root()).unwrap();
    demanded(&roots, Authenticator::of_make(ORIGIN, make.clone()), NOW).unwrap();
    for now in [NOW - HUNDRED_YEARS, i64::MIN, i64::MAX] {
        let refused = demanded(&roots, Authenticator::of_make(ORIGIN, make.clone()), now);
        assert!(matches!(refused, Err(PasskeyError::Untrusted(_))), "{now}: {refused:?}");
    }
}

#[test]
fn attestation_that_nobody_demanded_says_nothing() {
    let mut authenticator = Authenticator::of_make(ORIGIN, Make::new(AAGUID, "ours"));
    let passkey = crate::registered(&mut authenticator, &person("ada"));
    assert_eq!((passkey.is_attested(), passkey.aaguid()), (false, None));
}

#[test]
fn roots_are_certificates() {
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(AttestationRoots::from_pem(pem), Err(PasskeyError::Roots)), "{pem}");
    }
    let cut = Make::new(AAGUID, "ours").root().replacen("-----BEGIN", "", 1);
    assert!(matches!(AttestationRoots::from_pem(&cut), Err(PasskeyError::Roots)));
}
