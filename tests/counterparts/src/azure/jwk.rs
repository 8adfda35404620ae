//! Keys as they are shown and asked for: types, attributes, versions.

use super::material::Material;
use super::refusal::Refusal;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;
use serde_json::{Value, json};

/// One version of a key.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) material: Material,
    kind: String,
    operations: Vec<String>,
    attributes: Attributes,
    created: i64,
}

/// What a key is made with.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Specification {
    pub(super) kty: String,
    #[serde(default)]
    pub(super) key_size: Option<usize>,
    #[serde(default)]
    pub(super) key_ops: Option<Vec<String>>,
}

/// What its owner sets about a version; absent where left alone.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

impl Version {
    pub(super) fn new(now: i64, specification: &Specification, material: Material, attributes: Attributes) -> Self {
        let all = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
        let operations = specification.key_ops.clone().unwrap_or_else(|| all.map(str::to_owned).to_vec());
        Self { id: random_id(), material, kind: specification.kty.clone(), operations, attributes, created: now }
    }

    /// Another version of the same kind.
    pub(super) fn next(&self, now: i64) -> Result<Self, Refusal> {
        let key_ops = Some(self.operations.clone());
        let specification = Specification { kty: self.kind.clone(), key_size: Some(self.material.bits()), key_ops };
        let material = Material::create(&specification)?;
        Ok(Self::new(now, &specification, material, Attributes::default()))
    }

    pub(super) fn update(&mut self, attributes: &Attributes) {
        let Attributes { enabled, nbf, exp } = attributes;
        self.attributes.enabled = enabled.or(self.attributes.enabled);
        self.attributes.nbf = nbf.or(self.attributes.nbf);
        self.attributes.exp = exp.or(self.attributes.exp);
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.attributes.enabled.unwrap_or(true)
    }

    /// Only what protects is bound to the time of validity; what opens is not.
    pub(super) fn permit(&self, now: i64, operation: &str) -> Result<(), Refusal> {
        let refuse = |inner, why: &str| {
            Err(Refusal::forbidden(inner, &format!("Operation {operation} is not allowed on {why} key.")))
        };
        let protects = matches!(operation, "wrapKey" | "encrypt");
        if !self.is_enabled() {
            refuse(Some("KeyDisabled"), "a disabled")
        } else if protects && self.attributes.exp.is_some_and(|exp| now >= exp) {
            refuse(Some("KeyExpired"), "an expired")
        } else if protects && self.attributes.nbf.is_some_and(|nbf| now < nbf) {
            refuse(Some("KeyNotYetValid"), "a not yet valid")
        } else if self.operations.iter().any(|permitted| permitted == operation) {
            Ok(())
        } else {
            refuse(None, "this")
        }
    }

    /// Made for `import` alone, in hardware: what a transfer blob is encrypted to.
    pub(super) fn is_transfer_key(&self) -> bool {
        self.kind == "RSA-HSM" && self.operations == ["import"]
    }

    /// The key bundle.
    pub(super) fn bundle(&self, kid: &str) -> Value {
        let mut key = json!({"kid": kid, "kty": self.kind, "key_ops": self.operations});
        if let Some((n, e)) = self.material.public() {
            key["n"] = BASE64_URL_SAFE_NO_PAD.encode(n).into();
            key["e"] = BASE64_URL_SAFE_NO_PAD.encode(e).into();
        }
        json!({"key": key, "attributes": self.shown_attributes()})
    }

    /// `enabled`, `created`, and so on.
    pub(super) fn shown_attributes(&self) -> Value {
        let mut shown = json!({
            "enabled": self.is_enabled(), "created": self.created, "updated": self.created,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90, "exportable": false,
        });
        for (name, value) in [("nbf", self.attributes.nbf), ("exp", self.attributes.exp)] {
            if let Some(value) = value {
                shown[name] = value.into();
            }
        }
        shown
    }
}

/// 32 hexadecimal digits, as versions have.
fn random_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
