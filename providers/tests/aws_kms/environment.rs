//! Tests that need an environment of their own, for credentials come from there.

use std::env;
use std::process::Command;

/// Present in a process that [`run`] has started.
const INSIDE: &str = "KEYFOLD_TEST_ENVIRONMENT";
/// Credentials of the emulators' default account; they do not look at the secret.
pub(crate) const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "secret-access-key")];

/// Runs the body of the test `name` in a process of its own. Of all that the default chain of credentials looks at, it
/// sees `variables` alone: no file of a developer, no instance metadata, and an endpoint that must not be followed.
///
/// # Panics
/// When the body does.
pub(crate) fn run(name: &str, variables: &[(&str, &str)], body: impl Future<Output = ()>) {
    if env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(body);
        return;
    }
    let of_aws = env::vars_os().map(|(variable, _)| variable).filter(|name| name.to_string_lossy().starts_with("AWS_"));
    let mut command = Command::new(env::current_exe().unwrap());
    of_aws.for_each(|name| {
        command.env_remove(name);
    });
    let home = tempfile::tempdir().unwrap();
    command.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").env("HOME", home.path());
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let done = command.envs(variables.iter().copied()).output().unwrap();
    let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
