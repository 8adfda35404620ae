//! Data damaged on its way, as checksums show it: nothing is taken, and nobody is blamed for it.

use crate::cloud::{Cloud, key};
use crate::{CONTEXT, wrap};
use counterparts::google::Damage;
use keyfold_providers::{Error, KeyProvider, KeyRef};

#[tokio::test]
async fn of_aes_keys_is_noticed() {
    let cloud = Cloud::start().await;
    // Only decrypt says nothing of checksums that it did not get.
    check(&cloud, &key("first"), &[Damage::AnswerName, Damage::RequestChecksums]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rsa_keys_is_noticed() {
    let cloud = Cloud::start().await;
    let rsa = cloud.create_rsa_key("rsa", 2048).await;
    // Nothing is sent to wrap, and a plaintext comes without a name.
    check(&cloud, &rsa, &[Damage::AnswerName]).await;
}

/// Each damage breaks wrap and unwrap, or unwrap goes well where it is one of `unseen`.
async fn check(cloud: &Cloud, key: &KeyRef, unseen: &[Damage]) {
    let kms = cloud.connect().await;
    let wrapped = wrap(&kms, key).await.unwrap();
    let request_free_wrap = key.as_str().contains("rsa");
    let all = [
        Damage::RequestData,
        Damage::RequestChecksums,
        Damage::AnswerData,
        Damage::AnswerChecksums,
        Damage::AnswerName,
    ];
    for damage in all {
        cloud.kms.damage(damage);
        let wrap = wrap(&kms, key).await.map(drop);
        let of_request = matches!(damage, Damage::RequestData | Damage::RequestChecksums);
        if !(request_free_wrap && of_request) {
            assert!(matches!(wrap, Err(Error::Broken(_))), "wrap, {damage:?}: {wrap:?}");
        }
        let unwrap = kms.unwrap_key(key, &wrapped, &CONTEXT).await.map(drop);
        let as_it_should =
            if unseen.contains(&damage) { unwrap.is_ok() } else { matches!(unwrap, Err(Error::Broken(_))) };
        assert!(as_it_should, "unwrap, {damage:?}: {unwrap:?}");
        cloud.kms.damage(None);
    }
}
