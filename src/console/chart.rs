//! Numbers over time, as SVG that the server makes.

/// Height of what is drawn, in units of the drawing.
const HEIGHT: u64 = 80;
/// Width from one hour to the next.
const STEP: usize = 10;

/// A number over time.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What a screen reader says, and what stands below.
    pub(super) summary: String,
    pub(super) width: usize,
    pub(super) bars: Vec<Bar>,
    /// Whether more of it is worse.
    pub(super) bad: bool,
}

/// One hour.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    /// What its tooltip says.
    pub(super) label: String,
}

impl Chart {
    /// The values, oldest first, each with what it belongs to; `unit` is what is counted.
    pub(super) fn of(title: &'static str, unit: &str, values: &[(String, u64)]) -> Self {
        let most = values.iter().map(|(_, value)| *value).max().unwrap_or(0);
        let total: u64 = values.iter().map(|(_, value)| value).sum();
        let bars = values.iter().enumerate().map(|(place, (when, value))| {
            let height = (value * HEIGHT).checked_div(most).unwrap_or(0).max(u64::from(*value > 0));
            Bar { x: place * STEP, y: HEIGHT - height, height, label: format!("{when}: {value} {unit}") }
        });
        let summary = format!("{total} in {} hours, at most {most} in one hour", values.len());
        Self { title, summary, width: values.len() * STEP, bars: bars.collect(), bad: false }
    }

    /// The same, of what should not be.
    pub(super) fn bad(self) -> Self {
        Self { bad: true, ..self }
    }

    /// The same, said in these words.
    pub(super) fn said(self, summary: String) -> Self {
        Self { summary, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chart, HEIGHT};

    #[test]
    fn the_highest_bar_fills_the_chart_and_none_is_lost() {
        let values = [0, 1, 1_000].map(|value| (String::new(), value));
        let heights: Vec<_> = Chart::of("", "", &values).bars.iter().map(|bar| (bar.y, bar.height)).collect();
        assert_eq!(heights, [(HEIGHT, 0), (HEIGHT - 1, 1), (0, HEIGHT)]);
        assert!(Chart::of("", "", &[(String::new(), 0)]).bars.iter().all(|bar| bar.height == 0));
    }
}
