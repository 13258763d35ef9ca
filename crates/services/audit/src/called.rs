//! What those are called whom a page of entries knows by their ids. Entries hold
//! ids alone: a name is told as it is now, or as it was when its person left.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use hilum_contracts::audit::Detail;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::{ApiKeyId, PersonId};
use hilum_contracts::scope::Principal;
use hilum_platform::audit::Found;
use hilum_platform::scope::TenantScope;

use crate::AuditService;

/// Names of people and keys.
#[derive(Default)]
pub(crate) struct Called {
    people: HashMap<PersonId, String>,
    keys: HashMap<ApiKeyId, String>,
}

impl AuditService {
    /// The names of those who stand in these entries, and of nobody else.
    pub(crate) async fn called(
        &self,
        scope: &TenantScope,
        found: &[Found],
    ) -> Result<Called, ServiceError> {
        let (mut people, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for one in found {
            match one.record.principal {
                Principal::Person { id, .. } => _ = people.insert(id),
                Principal::ApiKey(id) => _ = keys.insert(id),
                _ => {}
            }
            people.extend(of_detail::<PersonId>(one, Detail::Person));
            keys.extend(of_detail::<ApiKeyId>(one, Detail::Key));
        }
        let people: Vec<PersonId> = people.into_iter().collect();
        let keys: Vec<ApiKeyId> = keys.into_iter().collect();
        let mut called = Called::default();
        if !people.is_empty() {
            called.people = self.names.people(scope, &people).await?;
        }
        if !keys.is_empty() {
            called.keys = self.names.keys(scope, &keys).await?;
        }
        Ok(called)
    }
}

impl Called {
    /// Who did it.
    pub(crate) fn who(&self, found: &Found) -> Option<String> {
        match &found.record.principal {
            Principal::Person { id, .. } => self.people.get(id).cloned(),
            Principal::ApiKey(id) => self.keys.get(id).cloned(),
            _ => None,
        }
    }

    /// To whom or what it was done.
    pub(crate) fn acted_on(&self, found: &Found) -> Option<String> {
        let person = of_detail(found, Detail::Person).and_then(|id| self.people.get(&id));
        let key = || of_detail(found, Detail::Key).and_then(|id| self.keys.get(&id));
        person.or_else(key).cloned()
    }
}

fn of_detail<T: FromStr>(found: &Found, detail: Detail) -> Option<T> {
    found.record.details.get(&detail)?.parse().ok()
}
