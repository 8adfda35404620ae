//! The disk is full, or does not keep its promises: nothing is released, nothing acknowledged is lost.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use protocol::messages::RestoreOpened;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A file system of its own. Dropping it unmounts.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// A broker whose database lives on a file system of `size`, ready, and that file system.
    async fn under_broker(size: &str, min_free_mib: u64) -> (Broker, Self) {
        let elsewhere = format!("path = \"data/keyfold.db\"\nmin_free_mib = {min_free_mib}");
        let mut broker = Broker::prepared(|config| config.replace("path = \"keyfold.db\"", &elsewhere));
        let disk = Self::mount(broker.path("data"), size);
        broker.run(&[]).await;
        (broker, disk)
    }

    /// Of this size (`8m`), at a folder that is not there yet.
    pub(crate) fn mount(folder: PathBuf, size: &str) -> Self {
        fs::create_dir(&folder).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "keyfold"]).arg(&folder));
        Self(folder)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves not a byte free.
    pub(crate) fn fill(&self) {
        let mut chunk = 1 << 20;
        while chunk > 0 {
            match append(&self.0.join("ballast"), chunk) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => chunk /= 2,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes away what [`Self::fill`] has put there, if it has.
    pub(crate) fn empty(&self) {
        let removed = fs::remove_file(self.0.join("ballast"));
        assert!(removed.is_ok() || !self.0.join("ballast").exists(), "{removed:?}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

fn append(path: &Path, len: usize) -> std::io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&vec![0; len])
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// System calls of a running broker fail as `inject` says (`fdatasync:error=EIO`), until it is dropped.
pub(crate) struct Injection(Child);

impl Injection {
    pub(crate) async fn into(broker: &Broker, inject: &str) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", &format!("inject={inject}"), "-o", "/dev/null"]);
        strace.args(["-p", &broker.pid().to_string()]).stderr(Stdio::null());
        let child = strace.spawn().unwrap();
        let status = format!("/proc/{}/status", broker.pid());
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(&status).unwrap().contains(&format!("TracerPid:\t{}\n", child.id())) {
            assert!(Instant::now() < deadline, "strace does not attach");
            sleep(Duration::from_millis(20)).await;
        }
        // The other threads follow the first within moments.
        sleep(Duration::from_millis(300)).await;
        Self(child)
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // An interrupted strace lets its process go on; a killed one might not.
        run(Command::new("kill").args(["-INT", &self.0.id().to_string()]));
        self.0.wait().unwrap();
    }
}

/// A device with one record, and a restore of it that may be released.
async fn with_open_restore(broker: &Broker) -> (String, Raw, RestoreOpened) {
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(broker, TENANT, "alice").await;
    device.backup("identity", 1, b"before").await;
    let (opened, _) = device.open("identity").await;
    (vkey, device, opened)
}

/// Asks until the release is answered with 200. A release that was cut off in the middle is given back after a minute.
async fn released_within(seconds: u64, device: &Raw, opened: &RestoreOpened) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let answer = device.release(opened).await;
        if answer.status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_room_brings_the_broker_back_without_a_restart() {
    let (broker, disk) = Disk::under_broker("24m", 0).await;
    let (vkey, device, opened) = with_open_restore(&broker).await;
    disk.fill();
    let mut stored = 0;
    let refused = loop {
        // What still fits into the log file's last pages may pass; then nothing does any more.
        let answer = device.send_wrap(&device.wrap("full", stored + 1, &[7; 60_000])).await;
        if answer.status != 201 {
            break answer;
        }
        stored += 1;
    };
    assert_eq!((refused.status, refused.code().as_str()), (503, "storage_unavailable"));
    let answer = device.release(&opened).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "storage_unavailable"));
    assert_eq!(answer.headers["retry-after"], "5");

    disk.empty();
    released_within(10, &device, &opened).await;
    device.backup("full", stored + 1, b"after").await;
    let log = broker.verified_log(TENANT, &vkey);
    let wraps = usize::try_from(stored).unwrap() + 2;
    assert_eq!(outcomes(&log, "record.wrapped"), vec!["ok"; wraps]);
    assert_eq!(outcomes(&log, "restore.released"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_refuses_before_the_log_must_stop() {
    let (broker, disk) = Disk::under_broker("64m", 32).await;
    let (vkey, device, opened) = with_open_restore(&broker).await;
    append(&disk.0.join("ballast"), 40 << 20).unwrap();
    sleep(Duration::from_secs(2)).await;
    for answer in [device.release(&opened).await, device.send_wrap(&device.wrap("identity", 2, b"new")).await] {
        assert_eq!((answer.status, answer.code().as_str()), (503, "disk_low"));
    }
    assert_eq!(broker.http().get(broker.url("/readyz")).send().await.unwrap().status(), 503);
    assert!(broker.text("/metrics").await.contains("keyfold_disk_low 1"));
    // What takes access away still works, and is still recorded.
    broker.revoke(TENANT, "device", Some(&device.id().to_string())).await;
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "device.revoked"), ["ok"]);

    disk.empty();
    sleep(Duration::from_secs(2)).await;
    let other = Raw::enrol(&broker, TENANT, "alice").await;
    let (opened, _) = other.open("identity").await;
    released_within(5, &other, &opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_to_sync_or_to_write_releases_nothing() {
    let broker = Broker::start().await;
    let (vkey, device, opened) = with_open_restore(&broker).await;
    for fault in ["fsync,fdatasync:error=EIO", "pwrite64:error=ENOSPC"] {
        let injection = Injection::into(&broker, fault).await;
        let answers = [device.send_wrap(&device.wrap("other", 1, b"lost")).await, device.release(&opened).await];
        drop(injection);
        for answer in answers {
            assert_eq!((answer.status, answer.code().as_str()), (503, "storage_unavailable"), "{fault}: {answer:?}");
        }
    }
    // A refused wrap has left nothing behind: its generation is free.
    device.backup("other", 1, b"kept").await;
    released_within(5, &device, &opened).await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.released"), ["ok"]);
}
