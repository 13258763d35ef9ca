//! Which associations and requests are going on in this process. A sender that
//! is neither recorded as ended nor going on has broken off: its connection
//! was lost with the process that served it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hilum_contracts::ids::CorrelationId;

/// The associations and requests that are going on, and how often: results
/// are published under the id of the association that brought their images.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live(Arc<Mutex<HashMap<CorrelationId, usize>>>);

/// One that is going on, until this is dropped.
#[derive(Debug)]
pub(crate) struct GoingOn {
    live: Live,
    id: CorrelationId,
}

impl Live {
    pub(super) fn begin(&self, id: CorrelationId) -> GoingOn {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = live.entry(id).or_default();
        *times = times.saturating_add(1);
        drop(live);
        GoingOn {
            live: self.clone(),
            id,
        }
    }

    pub(crate) fn is_going_on(&self, id: CorrelationId) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&id)
    }
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        let mut live = self.live.0.lock().unwrap_or_else(PoisonError::into_inner);
        match live.get_mut(&self.id) {
            Some(times) if *times > 1 => *times = times.saturating_sub(1),
            _ => {
                live.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_on_until_the_last_who_uses_it_is_gone() {
        let (live, id) = (Live::default(), CorrelationId::new());
        let association = live.begin(id);
        drop(live.begin(id));
        assert!(live.is_going_on(id));
        drop(association);
        assert!(!live.is_going_on(id));
    }
}
