use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// No longer before the last delivery than this. Longer than TCP keeps what is not acknowledged.
const AGE: Duration = Duration::from_secs(60);
/// At most so much: more than the buffers between the broker and the receiver hold as a rule.
const BYTES: usize = 4 * 1024 * 1024;

/// What was sent last: it may have been lost with the connection, in a buffer of either side.
#[derive(Debug, Default)]
pub(super) struct Tail {
    sent: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Tail {
    pub(super) fn push(&mut self, frames: Vec<u8>) {
        let now = Instant::now();
        self.bytes += frames.len();
        self.sent.push_back((now, frames));
        while let Some((at, oldest)) = self.sent.front()
            && (self.bytes > BYTES || now.duration_since(*at) > AGE)
        {
            self.bytes -= oldest.len();
            self.sent.pop_front();
        }
    }

    /// In the order in which they were sent.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.sent.iter().map(|(_, frames)| frames.as_slice())
    }
}
