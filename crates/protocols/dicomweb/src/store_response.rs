//! The answer to a Store transaction (PS3.18 §10.5.3, annex I.2): what was
//! stored, what was not, and why.

use serde_json::{Map, Value, json};

use crate::json;

/// Why an instance was not stored (PS3.18 table I.2-2, PS3.4 §B.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// 0110H: processing failure on our side.
    ProcessingFailure,
    /// 0124H: refused by this server's policy (PS3.7 §C.5.20).
    NotAuthorized,
    /// A700H: out of resources.
    OutOfResources,
    /// A900H: the data set does not match; also when its study is not the
    /// one that the request names.
    DataSetMismatch,
    /// C000H: can't be understood.
    CannotUnderstand,
    /// C122H: the transfer syntax is not supported.
    TransferSyntaxNotSupported,
}

impl FailureReason {
    /// The standard's code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::ProcessingFailure => 0x0110,
            Self::NotAuthorized => 0x0124,
            Self::OutOfResources => 0xa700,
            Self::DataSetMismatch => 0xa900,
            Self::CannotUnderstand => 0xc000,
            Self::TransferSyntaxNotSupported => 0xc122,
        }
    }
}

/// Why an instance was stored with a warning (PS3.18 table I.2-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningReason {
    /// B000H: coercion of data elements.
    Coercion,
    /// B006H: elements discarded.
    ElementsDiscarded,
    /// B007H: the data set does not match its SOP class.
    DataSetMismatch,
}

impl WarningReason {
    /// The standard's code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Coercion => 0xb000,
            Self::ElementsDiscarded => 0xb006,
            Self::DataSetMismatch => 0xb007,
        }
    }
}

/// An instance that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Where it can be retrieved, absolute.
    pub retrieve_url: String,
    /// What was odd about it.
    pub warning: Option<WarningReason>,
}

/// An instance that was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// SOP Class UID and SOP Instance UID, when they were found.
    pub instance: Option<(String, String)>,
    /// Why.
    pub reason: FailureReason,
}

/// The answer as it grows, instance by instance.
#[derive(Clone, Debug, Default)]
pub struct StoreResponse {
    /// Where the study can be retrieved, when all instances are of one.
    pub study_url: Option<String>,
    /// What was stored.
    pub stored: Vec<Stored>,
    /// What was not.
    pub failed: Vec<Failed>,
}

impl StoreResponse {
    /// PS3.18 table 10.5.3-1: 200 when all is well, 202 when something was
    /// stored with warnings or not everything was, 409 when nothing was. That
    /// table has no code for a server without room; where that alone is why
    /// nothing was stored it is 507 (RFC 4918 §11.5; for quotas RFC 4331 §6), so
    /// that a sender keeps what a 409 would let it give up.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        let warned = self.stored.iter().any(|stored| stored.warning.is_some());
        let no_room = |failed: &Failed| failed.reason == FailureReason::OutOfResources;
        if self.stored.is_empty() && !self.failed.is_empty() && self.failed.iter().all(no_room) {
            http::StatusCode::INSUFFICIENT_STORAGE
        } else if self.stored.is_empty() {
            http::StatusCode::CONFLICT
        } else if self.failed.is_empty() && !warned {
            http::StatusCode::OK
        } else {
            http::StatusCode::ACCEPTED
        }
    }

    /// The response module as DICOM JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut root = Map::new();
        if let Some(url) = &self.study_url {
            json::set(&mut root, json::RETRIEVE_URL, "UR", [json!(url)]);
        }
        let referenced = self.stored.iter().map(|stored| {
            let mut item = reference(&stored.sop_class_uid, &stored.sop_instance_uid);
            json::set(
                &mut item,
                json::RETRIEVE_URL,
                "UR",
                [json!(stored.retrieve_url)],
            );
            if let Some(warning) = stored.warning {
                json::set(&mut item, "00081196", "US", [json!(warning.code())]);
            }
            Value::Object(item)
        });
        let mut failed_known = Vec::new();
        let mut failed_unknown = Vec::new();
        for failed in &self.failed {
            let (mut item, list) = match &failed.instance {
                Some((class, instance)) => (reference(class, instance), &mut failed_known),
                None => (Map::new(), &mut failed_unknown),
            };
            json::set(&mut item, "00081197", "US", [json!(failed.reason.code())]);
            list.push(Value::Object(item));
        }
        if !failed_known.is_empty() {
            json::set(&mut root, "00081198", "SQ", failed_known);
        }
        if !self.stored.is_empty() {
            json::set(&mut root, "00081199", "SQ", referenced);
        }
        // Other Failures Sequence: parts in which no instance was recognised.
        if !failed_unknown.is_empty() {
            json::set(&mut root, "0008119A", "SQ", failed_unknown);
        }
        Value::Object(root)
    }
}

fn reference(class: &str, instance: &str) -> Map<String, Value> {
    let mut item = Map::new();
    json::set(&mut item, "00081150", "UI", [json!(class)]);
    json::set(&mut item, "00081155", "UI", [json!(instance)]);
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        Stored {
            sop_class_uid: "1.2".into(),
            sop_instance_uid: "1.2.3".into(),
            retrieve_url: "http://h/studies/1/series/2/instances/1.2.3".into(),
            warning: None,
        }
    }

    #[test]
    fn the_status_tells_all_some_or_none() {
        let mut answer = StoreResponse::default();
        assert_eq!(answer.status(), 409);
        answer.stored.push(stored());
        assert_eq!(answer.status(), 200);
        answer.failed.push(Failed {
            instance: None,
            reason: FailureReason::CannotUnderstand,
        });
        assert_eq!(answer.status(), 202);
    }

    #[test]
    fn no_room_is_told_apart_from_a_conflict() {
        let failed = |reason| Failed {
            instance: None,
            reason,
        };
        let mut answer = StoreResponse::default();
        answer.failed.push(failed(FailureReason::OutOfResources));
        assert_eq!(answer.status(), 507);
        answer.failed.push(failed(FailureReason::DataSetMismatch));
        assert_eq!(answer.status(), 409);
        answer.stored.push(stored());
        assert_eq!(answer.status(), 202);
    }

    #[test]
    fn failures_stand_where_the_standard_puts_them() {
        let answer = StoreResponse {
            study_url: None,
            stored: vec![stored()],
            failed: vec![
                Failed {
                    instance: Some(("1.2".into(), "9".into())),
                    reason: FailureReason::DataSetMismatch,
                },
                Failed {
                    instance: None,
                    reason: FailureReason::CannotUnderstand,
                },
            ],
        };
        let json = answer.to_json();
        assert_eq!(
            json["00081199"]["Value"][0]["00081155"]["Value"][0],
            "1.2.3"
        );
        assert_eq!(json["00081198"]["Value"][0]["00081197"]["Value"][0], 0xa900);
        assert_eq!(json["0008119A"]["Value"][0]["00081197"]["Value"][0], 0xc000);
    }
}
