//! What lists have in common.

use hilum_contracts::error::ServiceError;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::limits::{PAGE, PAGE_MAX, QUERY_MAX};

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Part of what the list shows, in any case and with or without accents.
    q: Option<String>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub(crate) after: Option<uuid::Uuid>,
    /// Most items to answer, up to 200.
    limit: Option<u32>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> u32 {
        self.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)
    }

    pub(crate) fn q(&self) -> Result<&str, ServiceError> {
        let q = self.q.as_deref().unwrap_or_default();
        if q.len() > QUERY_MAX {
            let text = format!("Search for at most {QUERY_MAX} bytes.");
            return Err(ServiceError::invalid(text));
        }
        Ok(q)
    }

    /// The id of the last item, when there may be more after it.
    pub(crate) fn next<T>(&self, items: &[T], id: impl Fn(&T) -> String) -> Option<String> {
        let full = items.len() >= usize::try_from(self.limit()).unwrap_or(usize::MAX);
        items.last().filter(|_| full).map(id)
    }
}
