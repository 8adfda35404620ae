//! How the broker proves to a Kafka cluster who it is: SASL PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677).

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secret::Secret;
use std::num::NonZeroU32;
use std::str;
use zeroize::Zeroizing;

/// Fewer are too weak (RFC 7677, section 4), more would keep the sink computing for a server's whim.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=200_000;
/// Of which the nonce is made: enough for it never to come twice.
const NONCE_BYTES: usize = 24;

/// Credentials for SASL.
#[derive(Debug)]
pub struct Sasl {
    /// How they are shown.
    pub mechanism: Mechanism,
    /// Who the cluster knows the broker as.
    pub username: String,
    /// UTF-8; taken as it is, for Kafka does not normalise passwords either.
    pub password: Secret,
}

/// How credentials are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// Proof of the password, by SHA-256.
    ScramSha256,
    /// Proof of the password, by SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// As IANA registered it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The server does not follow the mechanism, or does not know the password itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server could not authenticate itself")]
pub(super) struct Distrusted;

/// One run of a mechanism.
pub(super) enum Exchange<'a> {
    Plain(&'a Sasl),
    Scram(Scram<'a>),
}

impl<'a> Exchange<'a> {
    pub(super) fn new(sasl: &'a Sasl) -> Self {
        let scram = |hash| Self::Scram(Scram { sasl, hash, nonce: nonce(), state: State::Start });
        match sasl.mechanism {
            Mechanism::Plain => Self::Plain(sasl),
            Mechanism::ScramSha256 => scram(&SHA256),
            Mechanism::ScramSha512 => scram(&SHA512),
        }
    }

    pub(super) fn first(&mut self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Plain(sasl) => {
                #[expect(clippy::disallowed_methods, reason = "PLAIN shows the password to the cluster")]
                let password = sasl.password.expose();
                let mut message = Zeroizing::new(Vec::with_capacity(sasl.username.len() + password.len() + 2));
                for part in [sasl.username.as_bytes(), password] {
                    message.push(0);
                    message.extend_from_slice(part);
                }
                message
            }
            Self::Scram(scram) => Zeroizing::new(format!("n,,{}", scram.first_bare()).into_bytes()),
        }
    }

    /// What to answer to what the server said; nothing when all is said.
    pub(super) fn next(&mut self, said: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Distrusted> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Scram(scram) => scram.next(str::from_utf8(said).map_err(|_| Distrusted)?),
        }
    }
}

/// A hash function, in all that SCRAM wants of it.
struct Hash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

static SHA256: Hash = Hash { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 };
static SHA512: Hash = Hash { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 };

pub(super) struct Scram<'a> {
    sasl: &'a Sasl,
    hash: &'static Hash,
    nonce: String,
    state: State,
}

/// What is expected next.
enum State {
    Start,
    Final { server_signature: hmac::Tag },
}

impl Scram<'_> {
    fn first_bare(&self) -> String {
        let username = self.sasl.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={username},r={}", self.nonce)
    }

    fn next(&mut self, said: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Distrusted> {
        match &self.state {
            State::Start => {
                let (message, server_signature) = self.prove(said).ok_or(Distrusted)?;
                self.state = State::Final { server_signature };
                Ok(Some(Zeroizing::new(message.into_bytes())))
            }
            State::Final { server_signature } => {
                let shown = attribute(said, "v=").and_then(|shown| BASE64_STANDARD.decode(shown).ok());
                let shown = shown.ok_or(Distrusted)?;
                let same = constant_time::verify_slices_are_equal(server_signature.as_ref(), &shown);
                same.map(|()| None).map_err(|_| Distrusted)
            }
        }
    }

    /// The client's last message, and what the server has to answer (RFC 5802, section 3).
    fn prove(&self, server_first: &str) -> Option<(String, hmac::Tag)> {
        let nonce = attribute(server_first, "r=")?;
        let salt = BASE64_STANDARD.decode(attribute(server_first, "s=")?).ok()?;
        let iterations = attribute(server_first, "i=")?.parse().ok().filter(|count| ITERATIONS.contains(count))?;
        if !nonce.starts_with(&self.nonce) || nonce == self.nonce {
            return None;
        }
        let salted = self.salted_password(&salt, NonZeroU32::new(iterations)?);
        let client_key = Zeroizing::new(hmac::sign(&salted, b"Client Key").as_ref().to_vec());
        let server_key = self.hmac_key(hmac::sign(&salted, b"Server Key").as_ref());
        let stored_key = self.hmac_key(digest::digest(self.hash.digest, &client_key).as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let authenticated = format!("{},{server_first},{without_proof}", self.first_bare());
        let signature = hmac::sign(&stored_key, authenticated.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature.as_ref()).map(|(key, mask)| key ^ mask).collect();
        let message = format!("{without_proof},p={}", BASE64_STANDARD.encode(proof));
        Some((message, hmac::sign(&server_key, authenticated.as_bytes())))
    }

    fn salted_password(&self, salt: &[u8], iterations: NonZeroU32) -> hmac::Key {
        let mut salted = Zeroizing::new(vec![0; self.hash.digest.output_len()]);
        #[expect(clippy::disallowed_methods, reason = "SCRAM proves knowledge of the password")]
        pbkdf2::derive(self.hash.pbkdf2, iterations, salt, self.sasl.password.expose(), &mut salted);
        self.hmac_key(&salted)
    }

    fn hmac_key(&self, key: &[u8]) -> hmac::Key {
        hmac::Key::new(self.hash.hmac, key)
    }
}

fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

/// Printable, and without a comma.
fn nonce() -> String {
    let mut bytes = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("invariant: the system random number generator works");
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Distrusted, Exchange, Mechanism, Sasl, Scram, State};
    use secret::Secret;

    #[test]
    fn what_would_end_a_username_is_escaped() {
        let password = Secret::copied_from(b"pencil");
        let sasl = Sasl { mechanism: Mechanism::ScramSha512, username: "a=b,c".into(), password };
        let first = Exchange::new(&sasl).first();
        assert!(first.starts_with(b"n,,n=a=3Db=2Cc,r="));
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let password = Secret::copied_from(b"pencil");
        let sasl = Sasl { mechanism: Mechanism::ScramSha256, username: "user".into(), password };
        let fixed = || {
            let scram =
                Scram { sasl: &sasl, hash: &super::SHA256, nonce: "rOprNGfwEbeRWgbNEkqO".into(), state: State::Start };
            Exchange::Scram(scram)
        };
        let server_first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let mut exchange = fixed();
        assert_eq!(&**exchange.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let last = exchange.next(server_first).unwrap().unwrap();
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(std::str::from_utf8(&last), Ok(expected));
        assert_eq!(exchange.next(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap(), None);

        // A server that has only heard the proof cannot answer for itself; nor may it choose what is weak or endless.
        let mut exchange = fixed();
        exchange.next(server_first).unwrap();
        assert_eq!(exchange.next(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap_err(), Distrusted);
        let text = std::str::from_utf8(server_first).unwrap();
        for wrong in
            [text.replace("i=4096", "i=4095"), text.replace("i=4096", "i=4000000000"), text.replace("r=rO", "r=xO")]
        {
            assert!(fixed().next(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
