//! What a Hilum under test is asked for.

use serde_json::Value;

use super::Hilum;
use crate::tools::wait_until;

impl Hilum {
    /// The runs of a study.
    #[must_use]
    pub fn runs(&self, study_uid: &str) -> Vec<Value> {
        self.api()
            .items(&format!("/api/v1/runs?study_uid={study_uid}"))
    }

    /// Waits until the newest run of a study is in this state.
    pub fn run_becomes(&self, study_uid: &str, state: &str) -> Value {
        wait_until(&format!("a run becomes {state}"), 90, || {
            self.runs(study_uid)
                .into_iter()
                .find(|run| run["state"] == state)
        })
    }

    /// The deliveries of a study.
    #[must_use]
    pub fn deliveries(&self, study_uid: &str) -> Vec<Value> {
        self.api()
            .items(&format!("/api/v1/deliveries?study_uid={study_uid}"))
    }

    /// Every input set of a study.
    #[must_use]
    pub fn input_sets(&self, study_uid: &str) -> Vec<Value> {
        let study = self.api().get(&format!("/api/v1/studies/{study_uid}"));
        let Some(series) = study.json()["series"].as_array().cloned() else {
            return Vec::new();
        };
        series
            .iter()
            .filter_map(|series| series["input_sets"].as_array())
            .flatten()
            .cloned()
            .collect()
    }

    /// Waits until the study's newest input set is in this state.
    pub fn input_set_becomes(&self, study_uid: &str, state: &str) -> Value {
        wait_until(&format!("the input set becomes {state}"), 30, || {
            let newest = self.input_sets(study_uid).pop()?;
            (newest["state"] == state).then_some(newest)
        })
    }

    /// QIDO-RS: the instances of a study of this modality.
    #[must_use]
    pub fn instances(&self, study_uid: &str, modality: &str) -> Vec<Value> {
        let answer = self.api().get(&format!(
            "/dicomweb/studies/{study_uid}/instances?Modality={modality}"
        ));
        match answer.status {
            204 => Vec::new(),
            _ => answer.json().as_array().cloned().unwrap_or_default(),
        }
    }
}
