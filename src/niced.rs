//! Threads for what nobody waits for: the system gives them the CPU when requests leave it.

use rustix::process::setpriority_process;
use std::io;
use tokio::runtime::{Builder, Runtime};

/// How much they stand back: from 0, as all others, to 19.
const NICE: i32 = 19;

/// A runtime of such threads. What they open, such as a connection to the database, inherits their place.
pub fn runtime(name: &str, threads: usize) -> io::Result<Runtime> {
    let stand_back = || {
        // On Linux this is the calling thread's alone.
        if setpriority_process(None, NICE).is_err() {
            tracing::warn!("a background thread could not be niced");
        }
    };
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .on_thread_start(stand_back)
        .enable_all()
        .build()
}
