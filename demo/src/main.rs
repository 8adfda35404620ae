//! The whole story, played through the real command line and the real device SDK.

mod mls;

fn main() -> Result<(), mls::Error> {
    let (phone, mut peer) = mls::LostPhone::new()?;
    let mut rejoined = mls::rejoin(&phone.archive()?, &mut peer)?;
    rejoined.read(&peer.say("welcome back")?)?;
    Ok(())
}
