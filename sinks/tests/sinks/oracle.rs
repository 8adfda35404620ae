//! Other implementations, in Python and JavaScript. `./dev test` installs what they need.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `tests/oracles/<script>` answers; panics when it refuses, or when there is no Python to run it. `KEYFOLD_ORACLES`
/// names its virtual environment.
pub(crate) fn ask(script: &str, question: &Value) -> Value {
    let python = installed("KEYFOLD_ORACLES", "oracles").join("bin/python");
    run(Command::new(python).arg(root().join("tests/oracles").join(script)), question)
}

/// What `tests/oracles/ecs_events.js` answers; panics when it refuses, or when there is no Node.js to run it. `KEYFOLD_ECS`
/// names the folder where the package @elastic/ecs is installed.
pub(crate) fn ask_ecs(question: &Value) -> Value {
    let package = installed("KEYFOLD_ECS", "ecs").join("node_modules/@elastic/ecs");
    run(Command::new("node").arg(root().join("tests/oracles/ecs_events.js")).arg(package), question)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn installed(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| root().join("target/test-env").join(name), PathBuf::from)
}

fn run(command: &mut Command, question: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
