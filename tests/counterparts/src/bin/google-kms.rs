//! Runs the counterpart of Google Cloud KMS until it is interrupted. The first lines of its output are JSON: where it
//! is, a bearer token that may do everything, and the key file of a service account that may too.

use keyfold_counterparts::google::{ALL_PERMISSIONS, GoogleKms};
use serde_json::json;
use std::io::{self, Write};

const TOKEN: &str = "owner";

#[tokio::main]
async fn main() -> io::Result<()> {
    let kms = GoogleKms::start().await;
    kms.accept_token(TOKEN, ALL_PERMISSIONS);
    let credentials = kms.service_account(ALL_PERMISSIONS);
    writeln!(io::stdout(), "{:#}", json!({"url": kms.url(), "token": TOKEN, "credentials": credentials}))?;
    tokio::signal::ctrl_c().await
}
