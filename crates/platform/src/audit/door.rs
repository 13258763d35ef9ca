//! What passes a service's HTTP doors is recorded here, in one place that no
//! handler can forget: looks before their first byte, changes before they are
//! tried, and what was refused. What a service records in the transaction of
//! its change is left to it, unless it fails.

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::scope::TenantScope;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::trail::Trail;
use crate::http::{Problem, database_error};

/// What a request is to the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something is looked at: recorded before the first byte, repeats counted.
    Look(Act),
    /// Something is changed: recorded before it is tried.
    Change(Act),
    /// Its transaction records it; here only when it fails.
    Own(Act),
    /// It shows nothing and changes nothing.
    Nothing,
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
    let entry = |act: Act| {
        let mut entry = Entry::new(act);
        if let Some(uid) = &study {
            entry = entry.about(Subject::study(&**uid));
        }
        if act == Act::Query {
            let text = searched(address, parts.uri.query().unwrap_or_default());
            return entry.about(Subject::query(text));
        }
        match act {
            Act::ViewAdministration | Act::ChangeSettings | Act::Refused => {
                entry.with(Detail::Setting, address)
            }
            _ => entry,
        }
    };
    let (before, after) = match told {
        Told::Nothing => (None, None),
        Told::Look(act) => (None, Some(entry(act))),
        Told::Change(act) => (Some(entry(act)), Some(entry(act))),
        Told::Own(act) => (None, Some(entry(act))),
    };
    let refused = entry(Act::Refused);
    let request = Request::from_parts(parts, body);
    if let Some(before) = before
        && let Err(error) = door.trail.record(&scope, before).await
    {
        return Problem(database_error(&error)).into_response();
    }
    let response = next.run(request).await;
    let outcome = outcome_of(response.status());
    let recorded = match (response.status(), after) {
        (_, None) => Ok(()),
        (StatusCode::FORBIDDEN, _) => {
            let refused = refused.ended(Outcome::Refused);
            door.trail.saw(&scope, refused).await
        }
        (_, Some(entry)) if matches!(told, Told::Look(_)) => {
            door.trail.saw(&scope, entry.ended(outcome)).await
        }
        (_, Some(_)) if outcome == Outcome::Success => Ok(()),
        (_, Some(entry)) => door.trail.record(&scope, entry.ended(outcome)).await,
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
