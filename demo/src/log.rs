//! What the exported log must say, and what must be refused in its place.

use crate::broker::PINNED;
use crate::error::Error;
use crate::stage::{Stage, file};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const EVENTS: &str = "events.ndjson";
const COPY: &str = "tampered";

/// The devices that events are about.
pub(crate) struct Devices {
    pub(crate) old: String,
    pub(crate) new: String,
}

#[derive(Deserialize)]
struct Line {
    evt: String,
    out: String,
    disclosed: Value,
}

/// `keyfold verify` under the pinned key, then the story in the order in which it happened.
pub(crate) async fn check(stage: &Stage, devices: &Devices) -> Result<(), Error> {
    stage.run(&format!("verify . --vkey {PINNED}")).await?;
    let text = stage.read(EVENTS)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
    tells_story(&lines, devices)?;
    match lines.iter().filter(|line| line.evt == "restore.released").count() {
        1 => Ok(()),
        other => Err(Error::Releases(other)),
    }
}

fn tells_story(lines: &[Line], Devices { old, new }: &Devices) -> Result<(), Error> {
    let story = [
        ("log.opened", "ok", None),
        ("kek.registered", "ok", None),
        ("user.created", "ok", None),
        ("device.enrolled", "ok", Some(old)),
        ("record.wrapped", "ok", Some(old)),
        ("record.wrapped", "ok", Some(old)),
        ("device.revoked", "ok", Some(old)),
        ("restore.denied", "device_inactive", Some(old)),
        ("device.enrolled", "ok", Some(new)),
        ("restore.requested", "ok", Some(new)),
        ("restore.intent", "ok", Some(new)),
        ("restore.released", "ok", Some(new)),
        ("restore.acknowledged", "ok", Some(new)),
        ("restore.denied", "restore_over", Some(new)),
    ];
    let mut lines = lines.iter();
    for (kind, outcome, device) in story {
        let is_next = |line: &Line| {
            let about = device.is_none_or(|device| line.disclosed["device"] == **device);
            line.evt == kind && line.out == outcome && about
        };
        lines.find(|line| is_next(line)).ok_or(Error::NotLogged { kind, outcome })?;
    }
    Ok(())
}

/// A copy verifies as it is, and no longer with one bit changed in any file that the verifier reads.
pub(crate) async fn check_tampering(stage: &Stage) -> Result<(), Error> {
    let verify = format!("verify {COPY} --vkey {PINNED}");
    let copy = stage.path(COPY);
    copy_tree(&stage.path("log"), &copy.join("log"))?;
    fs::copy(stage.path(EVENTS), copy.join(EVENTS)).map_err(file(&copy))?;
    stage.run(&verify).await?;
    for path in files(&copy)? {
        // The pinned key stands in the place of the one in the export.
        if path.ends_with("log/vkey") {
            continue;
        }
        let good = fs::read(&path).map_err(file(&path))?;
        fs::write(&path, with_one_bit_changed(&good)).map_err(file(&path))?;
        stage.run_refused(&verify, "keyfold: ").await?;
        fs::write(&path, good).map_err(file(&path))?;
    }
    stage.remove_folder(COPY)
}

fn with_one_bit_changed(bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.get_mut(bytes.len() / 2) {
        *byte ^= 1;
    }
    changed
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    for path in files(from)? {
        let copy = path.strip_prefix(from).map(|name| to.join(name)).expect("invariant: a file lies below its folder");
        copy.parent().map_or(Ok(()), fs::create_dir_all).map_err(file(&copy))?;
        fs::copy(&path, &copy).map_err(file(&copy))?;
    }
    Ok(())
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(file(folder))? {
        let path = entry.map_err(file(folder))?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
