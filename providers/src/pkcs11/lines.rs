//! What a worker and its module print, for the broker's log.

use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::warn;

/// Longer lines are cut.
const MAX_LINE: usize = 512;
/// So many lines go to the log in one [`WINDOW`].
const MAX_LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// Logs line by line until the stream ends.
pub(super) async fn log(mut stream: impl AsyncRead + Unpin) {
    let (mut line, mut chunk, mut budget) = (Vec::new(), [0; 1024], Budget::new());
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        for byte in &chunk[..read] {
            match byte {
                b'\n' => budget.log(&std::mem::take(&mut line)),
                byte if line.len() < MAX_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        budget.log(&line);
    }
}

struct Budget {
    since: Instant,
    lines: u32,
}

impl Budget {
    fn new() -> Self {
        Self { since: Instant::now(), lines: 0 }
    }

    fn log(&mut self, line: &[u8]) {
        if self.since.elapsed() > WINDOW {
            *self = Self::new();
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines <= MAX_LINES {
            warn!(line = %String::from_utf8_lossy(line).escape_debug(), "a PKCS#11 worker says");
        } else if self.lines == MAX_LINES + 1 {
            warn!("a PKCS#11 worker says more than is logged");
        }
    }
}
