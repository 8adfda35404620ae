use crate::error::{Error, Failed};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Tells the story: a line for each step that was checked, with the time that it took.
pub(crate) struct Teller {
    begun: Instant,
    told: u32,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), told: 0 }
    }

    /// Plays one step; tells it only when it is done.
    pub(crate) async fn step<T>(
        &mut self,
        step: &'static str,
        act: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        let begun = Instant::now();
        let done = act.await.map_err(|source| Failed::Step { step, source })?;
        self.told += 1;
        line(&format!("{:>2}  {step:<88}{}", self.told, milliseconds(begun.elapsed())));
        Ok(done)
    }

    /// A line that is no step.
    pub(crate) fn say(&self, words: &str) {
        line(&format!("    {words}"));
    }

    /// The last line.
    pub(crate) fn end(self, words: &str) {
        line(&format!("    {words:<88}{}", milliseconds(self.begun.elapsed())));
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:>6} ms", time.as_millis())
}

/// Who closes the pipe early misses lines; the exit code still says how the story ended.
fn line(text: &str) {
    let _closed = writeln!(io::stdout().lock(), "{text}");
}
