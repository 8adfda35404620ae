//! A device believes the log key that its user was told to expect, and the ingress keys that this log key vouches for.

use crate::harness::{Broker, Raw, TENANT, keyfold, text};
use audit::note::{Verifier, open_ingress};
use device::{Device, DeviceInfo, Error};
use secret::Secret;
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_enrols_under_the_log_key_it_expects_and_no_other() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let others = broker.tenant("other", "alice").await;
    let mut device = enrol(&broker, &vkey).await.unwrap();
    device.backup(&"identity".parse().unwrap(), &Secret::copied_from(b"key"), None).await.unwrap();
    assert!(matches!(enrol(&broker, &others).await, Err(Error::OtherLogKey)));

    let (_, tenants) = broker.admin("", None).await;
    let listed: Vec<_> = tenants["items"].as_array().unwrap().iter().map(|tenant| &tenant["vkey"]).collect();
    assert_eq!(listed, [&vkey, &others]);
}

async fn enrol(broker: &Broker, vkey: &str) -> Result<Device, Error> {
    let code = broker.code(TENANT, "alice").await.parse().unwrap();
    let info = DeviceInfo { name: "phone".parse().unwrap(), platform: "test".parse().unwrap() };
    let expected = Verifier::parse(vkey).unwrap();
    Device::enrol(broker.address(), TENANT.parse().unwrap(), code, info, Some(&expected)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_key_of_one_tenant_vouches_for_no_ingress_key_of_another() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let others = broker.tenant("other", "alice").await;
    let offered = Raw::enrol(&broker, TENANT, "alice").await.enrolled.ingress;
    let endorsed = open_ingress(&offered.endorsement, &[Verifier::parse(&vkey).unwrap()]).unwrap();
    assert_eq!((endorsed.id.as_str(), endorsed.key_hash), (offered.id.as_str(), offered.key.0.hash()));
    assert_eq!(endorsed.origin.as_str(), vkey.split('+').next().unwrap());
    assert!(open_ingress(&offered.endorsement, &[Verifier::parse(&others).unwrap()]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_takes_the_log_key_as_text_or_file_and_keeps_nothing_under_another() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let others = broker.tenant("other", "alice").await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vkey");
    fs::write(&file, format!("{vkey}\n")).unwrap();
    for expected in [vkey.as_str(), file.to_str().unwrap()] {
        let enrolled = enrol_by_command(&broker, folder.path(), expected).await;
        assert!(enrolled.status.success(), "{}", text(&enrolled.stderr));
        fs::remove_file(folder.path().join("state")).unwrap();
    }
    for (expected, why) in [(others.as_str(), "not the one expected"), ("missing", "neither a verifier key nor a file")]
    {
        let refused = enrol_by_command(&broker, folder.path(), expected).await;
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
        assert!(!refused.status.success() && !folder.path().join("state").exists());
    }
}

/// `keyfold device enrol`, with a state file in `folder`.
async fn enrol_by_command(broker: &Broker, folder: &Path, vkey: &str) -> Output {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("code"), broker.code(TENANT, "alice").await).unwrap();
    fs::write(path("passphrase"), "correct horse battery").unwrap();
    let (state, passphrase, code) = (path("state"), path("passphrase"), path("code"));
    let (url, ca) = (broker.url(""), broker.path("ca.pem"));
    let device = ["device", "--state", &state, "--passphrase-file", &passphrase];
    let enrol = ["enrol", "--url", &url, "--ca", ca.to_str().unwrap(), "--tenant", TENANT, "--code-file", &code];
    keyfold(&[&device[..], &enrol, &["--name", "laptop", "--vkey", vkey]].concat())
}
