//! Google Cloud KMS on loopback, to be tried by hand: says its address, then serves until it is ended.

use keyfold_counterparts::google::{ALL_PERMISSIONS, GoogleKms};
use std::io::{self, Write};

/// Who sends this bearer token may do everything.
const TOKEN: &str = "owner";

#[tokio::main]
async fn main() -> io::Result<()> {
    let kms = GoogleKms::start().await;
    kms.accept_token(TOKEN, ALL_PERMISSIONS);
    writeln!(io::stdout(), "{} takes the bearer token `{TOKEN}`", kms.url())?;
    tokio::signal::ctrl_c().await
}
