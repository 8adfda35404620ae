use crate::{PauseReason, Trouble};
use audit::event::Outcome;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// As long as answers are for which nothing else is known.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;
/// The longest wait that a receiver may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);
/// As much of an answer as is worth a line of a journal.
const SHOWN: usize = 512;

/// What a receiver answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of any kind.
    pub(crate) status: StatusCode,
    /// As they came.
    pub(crate) headers: HeaderMap,
    /// Cut off where it was longer than expected.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The answer, if its status says that the request was done.
    ///
    /// # Errors
    /// What any other status means, where the receiver's protocol does not say otherwise.
    pub(crate) fn accepted(self) -> Result<Self, Trouble> {
        if self.status.is_success() {
            return Ok(self);
        }
        // Receivers quote events in their answers.
        let shown = String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)]);
        tracing::debug!(status = self.status.as_u16(), answer = %shown, "a receiver refused");
        Err(self.trouble())
    }

    /// The one table from status to outcome. Only what says that the content is bad may cost an event its delivery.
    fn trouble(&self) -> Trouble {
        match self.status.as_u16() {
            400 => Trouble::Refused(const { Outcome::from_static("http_400") }),
            413 => Trouble::Refused(const { Outcome::from_static("http_413") }),
            422 => Trouble::Refused(const { Outcome::from_static("http_422") }),
            401 | 403 | 407 | 511 => Trouble::Paused(PauseReason::Unauthorized),
            // A redirect leads somewhere that nobody configured; most often to a page to log in at.
            300..=399 | 404 | 405 | 410 => Trouble::Paused(PauseReason::NotFound),
            408 | 425 | 429 | 500..=599 => Trouble::Retry { after: self.retry_after() },
            _ => Trouble::Paused(PauseReason::Misconfigured),
        }
    }

    /// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, of which a past one is no wait. An hour at most.
    #[must_use]
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
        };
        Some(wait.min(MAX_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use crate::{PauseReason, Trouble};
    use audit::event::Outcome;
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use std::time::{Duration, SystemTime};

    fn answer(status: u16, retry_after: Option<&str>) -> Result<(), Trouble> {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: Bytes::from_static(b"\xff") }.accepted().map(drop)
    }

    #[test]
    fn only_bad_content_is_refused() {
        let refused: Vec<_> = (200..1000).filter(|s| matches!(answer(*s, None), Err(Trouble::Refused(_)))).collect();
        assert_eq!(refused, [400, 413, 422]);
        assert_eq!(answer(422, None), Err(Trouble::Refused(Outcome::from_static("http_422"))));
    }

    #[test]
    fn each_status_has_its_outcome() {
        let paused = |reason| Err(Trouble::Paused(reason));
        let table = [
            (vec![200, 201, 202, 204], Ok(())),
            (vec![401, 403, 407], paused(PauseReason::Unauthorized)),
            (vec![301, 302, 307, 308, 404, 405, 410], paused(PauseReason::NotFound)),
            (vec![402, 406, 411, 415, 426, 431, 451], paused(PauseReason::Misconfigured)),
            (vec![408, 425, 429, 500, 502, 503, 504, 507, 599], Err(Trouble::Retry { after: None })),
        ];
        for (statuses, outcome) in table {
            statuses.into_iter().for_each(|status| assert_eq!(answer(status, None), outcome, "{status}"));
        }
    }

    #[test]
    fn a_receiver_may_say_when() {
        let asked = |text: &str| match answer(503, Some(text)) {
            Err(Trouble::Retry { after }) => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        assert!((85..=90).contains(&asked(&date).unwrap().as_secs()));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("18446744073709551615"), Some(Duration::from_secs(3600)));
        assert_eq!([asked("soon"), asked("-1")], [None, None]);
    }
}
