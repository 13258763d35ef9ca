//! What passes a service's HTTP doors is recorded here, in one place that no
//! handler can forget: looks before their first byte, changes of more than one
//! transaction before they are tried and when they are over, and what was
//! refused. What a service records in the transaction of its change is left to
//! it, unless it fails.

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::TenantScope;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::forgotten::Moment;
use super::trail::Trail;
use crate::http::{Problem, database_error};

/// What a request is to the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something is looked at: recorded before the first byte, repeats counted.
    Look(Act),
    /// Something is changed that takes more than a transaction: recorded before
    /// it is tried, and again with how it ended.
    Change(Act),
    /// Its transaction records it; here only when it fails.
    Own(Act),
    /// Its handler records it, or it shows nothing and changes nothing: here
    /// only when it is refused.
    Elsewhere,
}

/// Names what a method of an address (its template, without what the router is
/// nested under) is to the trail; `None`: nobody said.
pub type Naming = fn(&Method, &str) -> Option<Told>;

/// The doors of a service.
#[derive(Clone, Debug)]
pub struct Door {
    trail: Trail,
    named: Naming,
}

impl Door {
    /// The doors whose requests `named` names, recorded in `trail`.
    #[must_use]
    pub fn new(trail: Trail, named: Naming) -> Self {
        Self { trail, named }
    }
}

/// Parameters that say which part of an answer is wanted, not what is searched for.
const PAGING: [&str; 4] = ["limit", "offset", "after", "includefield"];

/// Records a request; a middleware of the service's router.
pub async fn recorded(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Some(scope) = request.extensions().get::<TenantScope>().cloned() else {
        // Nobody is known: no handler answers.
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map_or_else(String::new, |path| path.as_str().to_owned());
    let address = path.strip_prefix("/api/v1").unwrap_or(&path);
    let told = (door.named)(&parts.method, address).unwrap_or(match parts.method {
        Method::GET | Method::HEAD => Told::Look(Act::ViewAdministration),
        _ => Told::Change(Act::ChangeSettings),
    });
    let study = RawPathParams::from_request_parts(&mut parts, &()).await;
    let study = study.ok().and_then(|params| {
        let mut params = params.iter();
        let found = params.find(|(name, _)| matches!(*name, "study_uid" | "study"));
        found.map(|(_, uid)| uid.to_owned())
    });
    let since = door.trail.now();
    let of = Of {
        told,
        method: parts.method.clone(),
        study,
        address: address.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
    };
    let request = Request::from_parts(parts, body);
    let Told::Change(act) = told else {
        let response = next.run(request).await;
        return door.ended(&scope, since, of, response).await;
    };
    let begun = of.entry(act).with(Detail::Change, "begun");
    if let Err(error) = door.trail.record_since(&scope, since, begun).await {
        return Problem(database_error(&error)).into_response();
    }
    // Of its own, so that how it ended is recorded when whoever asked is gone.
    let changing = tokio::spawn(async move {
        let response = next.run(request).await;
        door.ended(&scope, since, of, response).await
    });
    match changing.await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => {
                let text = "The change broke off; see whether it was made.";
                Problem(ServiceError::internal(text)).into_response()
            }
        },
    }
}

/// A request, as far as the trail tells of it.
struct Of {
    told: Told,
    method: Method,
    study: Option<String>,
    address: String,
    query: String,
}

impl Of {
    fn entry(&self, act: Act) -> Entry {
        let mut entry = Entry::new(act);
        if let Some(uid) = &self.study {
            entry = entry.about(Subject::study(&**uid));
        }
        match act {
            Act::Query => entry.about(Subject::query(searched(&self.address, &self.query))),
            Act::ViewAdministration | Act::ChangeSettings => {
                entry.with(Detail::Setting, &self.address)
            }
            Act::Refused => {
                let asked = format_args!("{} {}", self.method, self.address);
                entry.with(Detail::Setting, asked)
            }
            _ => entry,
        }
    }
}

impl Door {
    /// Records how a request was answered, before its first byte.
    async fn ended(
        &self,
        scope: &TenantScope,
        since: Moment,
        of: Of,
        response: Response,
    ) -> Response {
        let outcome = outcome_of(response.status());
        let trail = &self.trail;
        let recorded = match (response.status(), of.told) {
            (StatusCode::FORBIDDEN, _) => {
                let refused = of.entry(Act::Refused).ended(Outcome::Refused);
                trail.saw_since(scope, since, refused).await
            }
            (_, Told::Look(act)) => {
                let look = of.entry(act).ended(outcome);
                trail.saw_since(scope, since, look).await
            }
            (_, Told::Own(act)) if outcome != Outcome::Success => {
                let tried = of.entry(act).ended(outcome);
                trail.record_since(scope, since, tried).await
            }
            (_, Told::Change(act)) => {
                let ended = of.entry(act).ended(outcome).with(Detail::Change, "ended");
                trail.record_since(scope, since, ended).await
            }
            (_, Told::Own(_) | Told::Elsewhere) => Ok(()),
        };
        match recorded {
            Ok(()) => response,
            // Nothing was kept or shown for want of room, and there is none for the entry
            // either: the sender is told what to do, and the log why the trail is silent.
            Err(error) if response.status() == StatusCode::INSUFFICIENT_STORAGE => {
                let _logged = database_error(&error);
                response
            }
            Err(error) => Problem(database_error(&error)).into_response(),
        }
    }
}

fn outcome_of(status: StatusCode) -> Outcome {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::CONFLICT => Outcome::Refused,
        status if status.is_client_error() || status.is_server_error() => Outcome::Failed,
        _ => Outcome::Success,
    }
}

/// What is searched for, as a person can read it.
fn searched(address: &str, query: &str) -> String {
    let asked = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && !PAGING.contains(&name)
    });
    let asked: Vec<String> = asked
        .map(|pair| {
            let spaced = pair.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        })
        .collect();
    match asked.is_empty() {
        true => address.to_owned(),
        false => format!("{address}?{}", asked.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::searched;

    #[test]
    fn a_search_is_told_as_it_was_meant_whatever_the_page() {
        assert_eq!(
            searched(
                "/studies",
                "PatientName=M%C3%BCller%2A+X&limit=50&offset=100"
            ),
            "/studies?PatientName=Müller* X"
        );
        assert_eq!(searched("/studies", "limit=50"), "/studies");
        assert_eq!(searched("/studies", "%ff=%"), "/studies?\u{fffd}=%");
    }
}
