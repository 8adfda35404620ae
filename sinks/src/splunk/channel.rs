use super::answer;
use crate::https::Client;
use crate::{PauseReason, Trouble};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// First and longest wait between two polls; doubled in between.
const POLL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Where acknowledgements are numbered. The collector keeps the numbers in memory, and begins again after a restart.
#[derive(Debug)]
pub(super) struct Channel {
    id: Uuid,
    acks: Url,
    patience: Duration,
    /// The highest number given out so far.
    last: Option<u64>,
}

#[derive(Deserialize)]
struct Acks {
    acks: HashMap<String, bool>,
}

impl Channel {
    pub(super) fn new(acks: Url, patience: Duration) -> Self {
        Self { id: Uuid::new_v4(), acks, patience, last: None }
    }

    /// The request, sent on this channel.
    pub(super) fn mark(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("x-splunk-request-channel", self.id.to_string())
    }

    /// The number of what was just taken. One that is not above all before it is of a collector that has forgotten those:
    /// an acknowledgement could then be another request's, so a new channel is begun.
    pub(super) fn number(&mut self, number: Option<u64>) -> Result<u64, Trouble> {
        let number = number.ok_or(Trouble::Paused(PauseReason::Misconfigured))?;
        if self.last.is_some_and(|last| number <= last) {
            *self = Self::new(self.acks.clone(), self.patience);
            return Err(Trouble::Retry { after: None });
        }
        self.last = Some(number);
        Ok(number)
    }

    /// Waits until the indexers have acknowledged all of these numbers.
    pub(super) async fn acknowledged(
        &self,
        client: &Client,
        authorization: &HeaderValue,
        mut numbers: Vec<u64>,
    ) -> Result<(), Trouble> {
        let (began, mut wait) = (Instant::now(), POLL.0);
        while !numbers.is_empty() {
            if began.elapsed() + wait > self.patience {
                return Err(Trouble::Retry { after: None });
            }
            sleep(wait).await;
            wait = (wait * 2).min(POLL.1);
            match self.poll(client, authorization, &numbers).await {
                Ok(acks) => numbers.retain(|number| acks.get(&number.to_string()) != Some(&true)),
                // The events are there already: better to ask again than to send them again.
                Err(Trouble::Retry { .. }) => {}
                Err(trouble @ (Trouble::Paused(_) | Trouble::Refused(_))) => return Err(trouble),
            }
        }
        Ok(())
    }

    async fn poll(
        &self,
        client: &Client,
        authorization: &HeaderValue,
        numbers: &[u64],
    ) -> Result<HashMap<String, bool>, Trouble> {
        let request = client.post(self.acks.clone()).header(AUTHORIZATION, authorization.clone());
        let request = self.mark(request).json(&json!({ "acks": numbers }));
        let answer = client.send(request, answer::MAX).await?;
        match serde_json::from_slice::<Acks>(&answer.body) {
            Ok(Acks { acks }) if answer.status.is_success() => Ok(acks),
            _ => Err(answer::poll_refused(answer)),
        }
    }
}
