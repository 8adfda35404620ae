//! What Kafka's error codes mean for a producer.

use crate::{PauseReason, Trouble};
use audit::event::Outcome;

/// What to make of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The batch is stored; now, or since an earlier attempt.
    Stored,
    /// Perhaps stored. The same batch again, perhaps at another leader.
    Unknown,
    /// The cluster has forgotten this producer, or its numbering: another identity is needed.
    ForgottenProducer,
    /// Not stored.
    Failed(Trouble),
}

/// The codes are those of `org.apache.kafka.common.protocol.Errors`.
pub(super) fn verdict(code: i16) -> Verdict {
    match code {
        // None, DUPLICATE_SEQUENCE_NUMBER
        0 | 46 => Verdict::Stored,
        // OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID, PRODUCER_FENCED
        45 | 47 | 49 | 59 | 90 => Verdict::ForgottenProducer,
        // MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE
        10 | 18 => refused(const { Outcome::from_static("message_too_large") }),
        // INVALID_TIMESTAMP
        32 => refused(const { Outcome::from_static("invalid_timestamp") }),
        // POLICY_VIOLATION
        44 => refused(const { Outcome::from_static("policy_violation") }),
        // UNSUPPORTED_FOR_MESSAGE_FORMAT, INVALID_RECORD
        43 | 87 => refused(const { Outcome::from_static("invalid_record") }),
        // TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, UNSUPPORTED_SASL_MECHANISM, ILLEGAL_SASL_STATE,
        // TRANSACTIONAL_ID_AUTHORIZATION_FAILED, SASL_AUTHENTICATION_FAILED
        29 | 31 | 33 | 34 | 53 | 58 => Verdict::Failed(Trouble::Paused(PauseReason::Unauthorized)),
        // INVALID_TOPIC_EXCEPTION, UNSUPPORTED_VERSION
        17 | 35 => Verdict::Failed(Trouble::Paused(PauseReason::NotFound)),
        // Those that Kafka calls retriable, and those not known here: nothing is lost by another attempt.
        _ => Verdict::Unknown,
    }
}

fn refused(reason: Outcome) -> Verdict {
    Verdict::Failed(Trouble::Refused(reason))
}
