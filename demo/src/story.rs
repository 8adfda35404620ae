use crate::broker::Broker;
use crate::error::{Error, Failed};
use crate::identity::Identity;
use crate::lively;
use crate::log::{self, Devices};
use crate::mls::{self, LostPhone, Peer};
use crate::new_device::NewDevice;
use crate::old_device::OldDevice;
use crate::stage::Stage;
use crate::teller::Teller;
use secret::Secret;

/// The story, top to bottom. With `console`, the broker then stays, and things go on happening.
pub(crate) async fn play(console: bool) -> Result<(), Failed> {
    let mut teller = Teller::new();
    let stage = Stage::set().map_err(|source| Failed::Step { step: "an empty target/demo", source })?;
    let starts = Broker::start(&stage, console);
    let broker = teller.step("The broker starts on loopback: TLS 1.3, SQLite, software keystore", starts).await?;
    let link = broker.console_link().map_err(|source| Failed::Step { step: "the link into the console", source })?;
    teller.say(&format!("The console, for its first administrator: {link}"));
    teller.step("The operator creates tenant acme, its KEK and its user alice", broker.create_tenant()).await?;

    let enrols = OldDevice::enrol(&stage, &broker);
    let old = teller.step("Device A enrols with a one-time code (command line)", enrols).await?;
    let known = teller.step("A backs up a P-256 identity key and an archive of its MLS client", back_up(&old)).await?;
    teller.step("A is lost, and the operator revokes it", lose(&old, &broker)).await?;
    teller.step("Whoever found A asks for its keys: refused, device_inactive", old.is_refused_to_finder()).await?;

    let enrols = NewDevice::enrol(&stage, &broker);
    let mut new = teller.step("Device B enrols for the same user (device SDK)", enrols).await?;
    let restored = teller.step("B restores both secrets", new.restore()).await?;
    let signs = async { known.identity.is_proven_by(&restored.identity) };
    teller.step("B signs with the identity key; the signature verifies under A's public key", signs).await?;
    let rejoins = async { rejoin(&restored.archive, known.peer) };
    teller.step("B joins its MLS group again by external commit and reads a new message", rejoins).await?;
    let again = new.acknowledge_and_ask_again();
    teller.step("B acknowledges; the same restore, asked again, is refused: restore_over", again).await?;

    if console {
        teller.say("It goes on until Ctrl-C: four people back up, lose their phones and ask for their keys.");
        teller.say(
            "Open the link above. Your browser does not know the certificate: it is under target/demo/broker/ca.pem",
        );
        return match lively::play(&stage, &broker).await {
            Ok(never) => match never {},
            Err(source) => Err(Failed::Step { step: "people go on losing phones", source }),
        };
    }
    teller.step("The operator exports the log and stops the broker", export(broker)).await?;
    let devices = Devices { old: old.id().into(), new: new.id() };
    let told = log::check(&stage, &devices);
    teller.step("Offline, the log verifies under the pinned key and tells this story", told).await?;
    teller.step("With one bit changed, in any of its files, it is refused", log::check_tampering(&stage)).await?;
    teller.end("The whole story. The log lies in target/demo/log and target/demo/events.ndjson");
    Teller::new().say("To look around in the console: ./dev demo --console");
    Ok(())
}

/// What the world knows of the user, and needs no backup.
struct Known {
    identity: Identity,
    peer: Peer,
}

/// The only copies of the secrets are dropped with this step.
async fn back_up(old: &OldDevice<'_>) -> Result<Known, Error> {
    let (identity, private) = Identity::new()?;
    old.back_up("identity", &private).await?;
    let (phone, peer) = LostPhone::new()?;
    old.back_up("archive", &Secret::copied_from(&phone.archive()?)).await?;
    Ok(Known { identity, peer })
}

async fn lose(old: &OldDevice<'_>, broker: &Broker<'_>) -> Result<(), Error> {
    old.lose()?;
    broker.revoke(old.id()).await
}

#[expect(clippy::disallowed_methods, reason = "the MLS client parses its archive where it lies")]
fn rejoin(archive: &Secret, mut peer: Peer) -> Result<(), Error> {
    let mut member = mls::rejoin(archive.expose(), &mut peer)?;
    let message = peer.say("welcome back")?;
    if member.read(&message)? == "welcome back" { Ok(()) } else { Err(Error::OtherMessage) }
}

async fn export(broker: Broker<'_>) -> Result<(), Error> {
    broker.export_log().await?;
    broker.stop().await
}
