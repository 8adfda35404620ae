//! How many wraps and unwraps a second a provider does: `rate software`, or
//! `rate pkcs11 <module> <token label> <PIN> <key label> <workers>` (after `cargo build -p keyfold-providers --bins`), or `rate openbao <address> <mount> <token> <key> [CA file]`.

use keyfold_providers::openbao::{self, OpenBao};
use keyfold_providers::pkcs11::{self, Pkcs11, Program, TokenUri};
use keyfold_providers::software::{Keystore, Software};
use keyfold_providers::{Context, KeyProvider, KeyRef};
use secret::Secret;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CONTEXT: Context = Context::new([1; 32]);
const FOR: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (provider, key): (Arc<dyn KeyProvider>, &str) = match words[..] {
        ["software"] => (Arc::new(software()?), "key"),
        ["pkcs11", module, token, pin, key, workers] => {
            (Arc::new(Pkcs11::open(hsm(module, token, pin, workers.parse()?)?).await?), key)
        }
        ["openbao", address, mount, token, key, ref ca @ ..] => {
            let ca_pem = ca.first().map(std::fs::read).transpose()?;
            let (address, mount) = (address.to_owned(), mount.to_owned());
            let login = openbao::Login::Token(Secret::copied_from(token.as_bytes()));
            let options = openbao::Options { address, mount, namespace: None, login, ca_pem };
            (Arc::new(OpenBao::connect(options).await?), key)
        }
        _ => return Err("see the first lines of examples/rate.rs".into()),
    };
    for at_once in [1, 8] {
        measure(&provider, &KeyRef::new(key), at_once).await?;
    }
    Ok(())
}

fn hsm(module: &str, token: &str, pin: &str, workers: usize) -> Result<pkcs11::Options, Box<dyn Error>> {
    // Examples lie one folder below the programs of their package.
    let path = std::env::current_exe()?.join("../../keyfold-pkcs11-worker").canonicalize()?;
    Ok(pkcs11::Options {
        module: module.into(),
        library_parameters: None,
        token: TokenUri::labelled(token),
        pin: Secret::copied_from(pin.as_bytes()),
        worker: Program { path, arguments: Vec::new() },
        environment: BTreeMap::new(),
        workers,
        sessions: 4,
        deadline: Duration::from_secs(3),
    })
}

fn software() -> Result<Software, Box<dyn Error>> {
    let path = tempfile::tempdir()?.keep().join("keystore.json");
    let passphrase = Secret::random(16);
    Keystore::create(&path, &passphrase)?;
    let start = Instant::now();
    let software = Software::open(&path, &passphrase)?;
    writeln!(io::stdout(), "open: {:?}", start.elapsed())?;
    software.create_key("key")?;
    Ok(software)
}

async fn measure(provider: &Arc<dyn KeyProvider>, key: &KeyRef, at_once: u32) -> Result<(), Box<dyn Error>> {
    let wrapped = Arc::new(provider.wrap_key(key, &Secret::random(32), &CONTEXT).await?);
    let wrap = || {
        let (provider, key) = (Arc::clone(provider), key.clone());
        async move { provider.wrap_key(&key, &Secret::random(32), &CONTEXT).await.map(drop) }
    };
    let unwrap = || {
        let (provider, key, wrapped) = (Arc::clone(provider), key.clone(), Arc::clone(&wrapped));
        async move { provider.unwrap_key(&key, &wrapped, &CONTEXT).await.map(drop) }
    };
    let (wraps, unwraps) = (rate(wrap, at_once).await?, rate(unwrap, at_once).await?);
    writeln!(io::stdout(), "{at_once} at once: {wraps:.0} wraps/s, {unwraps:.0} unwraps/s")?;
    Ok(())
}

/// Calls a second, with `at_once` calls under way all the time.
async fn rate<F>(call: impl Fn() -> F, at_once: u32) -> Result<f64, Box<dyn Error>>
where
    F: Future<Output = Result<(), keyfold_providers::Error>> + Send + 'static,
{
    let (mut calls, mut count, start) = (JoinSet::new(), 0, Instant::now());
    for _ in 0..at_once {
        calls.spawn(call());
    }
    while let Some(done) = calls.join_next().await {
        done??;
        count += 1;
        if start.elapsed() < FOR {
            calls.spawn(call());
        }
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
