//! Ends connections that nobody uses: each holds one of a bounded number of places.

use axum::response::Response;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a connection may be silent between two requests.
const BETWEEN_REQUESTS: Duration = Duration::from_secs(60);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    under_way: u32,
    begun: u64,
}

/// Counts the requests of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(watch::Sender<Load>);

/// One request under way, until its answer has been handed to the connection.
struct UnderWay(watch::Sender<Load>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|load| load.under_way -= 1);
    }
}

impl Requests {
    /// Counts the request that `answer` answers, its body included.
    pub(super) async fn counted<E>(self, answer: impl Future<Output = Result<Response, E>>) -> Result<Response, E> {
        self.0.send_modify(|load| {
            load.under_way += 1;
            load.begun += 1;
        });
        let under_way = UnderWay(self.0);
        let response = answer.await?;
        Ok(response.map(|body| {
            axum::body::Body::new(body.map_frame(move |frame| {
                let _held_with_the_body = &under_way;
                frame
            }))
        }))
    }

    /// Returns when no first request came within `first`, or no further one for a minute.
    pub(super) async fn have_ended(&self, first: Duration) {
        let mut load = self.0.subscribe();
        let (mut limit, mut seen) = (first, 0);
        while matches!(timeout(limit, load.wait_for(|load| load.begun > seen)).await, Ok(Ok(_))) {
            let Ok(idle) = load.wait_for(|load| load.under_way == 0).await else { return };
            (limit, seen) = (BETWEEN_REQUESTS, idle.begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Requests;
    use axum::response::IntoResponse;
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::time::timeout;

    const FIRST: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn silence_ends_a_connection_and_an_answer_on_its_way_keeps_it() {
        let requests = Requests::default();
        assert!(timeout(LONG, requests.have_ended(FIRST)).await.is_ok(), "no request at all");
        let answer = requests.clone().counted(async { Ok::<_, Infallible>("done".into_response()) }).await;
        assert_eq!(requests.0.borrow().under_way, 1, "its body is still there");
        assert!(timeout(LONG, requests.have_ended(FIRST)).await.is_err());
        drop(answer);
        assert_eq!(requests.0.borrow().under_way, 0);
    }
}
