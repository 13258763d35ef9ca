//! Which results go to a destination.

use hilum_contracts::error::ServiceError;
use hilum_contracts::imaging::ResultsPublished;
use hilum_dataset::text::fold;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::{PATTERN_MAX, PATTERN_PARTS, RULE_VALUE_MAX, RULE_VALUES};

/// What has to hold of results: all of it; what is empty asks for nothing. What is not
/// known of a study is not what a rule asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = DestinationRule)]
pub(crate) struct Rule {
    /// The models whose results go there; none named: every model's.
    pub(crate) models: Vec<String>,
    /// Any of these in Modalities in Study (0008,0061): `MR`.
    pub(crate) modalities: Vec<String>,
    /// Any of these as Body Part Examined (0018,0015) of a series: `HEAD`.
    pub(crate) body_parts: Vec<String>,
    /// Study Description (0008,1030), without case and accents; `*` and `?` are wild
    /// cards (PS3.4 C.2.2.2.4).
    pub(crate) study_description: Option<String>,
}

impl Rule {
    /// Whether results go there.
    pub(crate) fn takes(&self, results: &ResultsPublished) -> bool {
        let study = &results.study;
        any(&self.models, |one| *one == results.model)
            && any(&self.modalities, |one| study.modalities.contains(one))
            && any(&self.body_parts, |one| {
                let is = |part: &String| part.eq_ignore_ascii_case(one);
                study.body_parts.iter().any(is)
            })
            && self
                .study_description
                .as_deref()
                .is_none_or(|pattern| matches(&fold(pattern), &fold(&study.description)))
    }

    /// The rule as it is kept.
    pub(crate) fn checked(self) -> Result<Self, ServiceError> {
        // Code strings are upper case (PS3.5 table 6.2-1).
        let code = |text: String| text.to_ascii_uppercase();
        let pattern = self.study_description.map(|text| text.trim().to_owned());
        let pattern = pattern.filter(|text| !text.is_empty());
        let is_long = |text: &String| {
            text.chars().count() > PATTERN_MAX || text.split('*').count() > PATTERN_PARTS
        };
        if pattern.as_ref().is_some_and(is_long) {
            let most = PATTERN_PARTS - 1;
            return Err(ServiceError::invalid(format!(
                "The study's description has at most {PATTERN_MAX} characters and {most} times `*`."
            )));
        }
        Ok(Self {
            models: values(self.models, "models", |text| text)?,
            modalities: values(self.modalities, "modalities", code)?,
            body_parts: values(self.body_parts, "body parts", code)?,
            study_description: pattern,
        })
    }
}

fn any(asked: &[String], is: impl Fn(&String) -> bool) -> bool {
    asked.is_empty() || asked.iter().any(is)
}

fn values(
    given: Vec<String>,
    what: &str,
    form: impl Fn(String) -> String,
) -> Result<Vec<String>, ServiceError> {
    let mut kept: Vec<String> = Vec::with_capacity(given.len().min(RULE_VALUES));
    for value in given {
        let value = form(value.trim().to_owned());
        let fits = (1..=RULE_VALUE_MAX).contains(&value.chars().count());
        if !fits || value.chars().any(char::is_control) || kept.len() >= RULE_VALUES {
            return Err(ServiceError::invalid(format!(
                "A rule names at most {RULE_VALUES} {what}, each of 1 to {RULE_VALUE_MAX} characters."
            )));
        }
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    Ok(kept)
}

/// Whether a text is what a pattern with `*` and `?` says: in time that grows with the
/// product of their lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and from where the text behind it is tried.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(one) if *one == '?' || one == c => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use hilum_contracts::ids::RunId;
    use hilum_contracts::imaging::{PatientIdentity, StudyFacts};

    use super::*;

    fn results(facts: StudyFacts) -> ResultsPublished {
        ResultsPublished {
            run: RunId::new(),
            study_uid: "1.2".to_owned(),
            instances: Vec::new(),
            patient: PatientIdentity::default(),
            model: "brain".to_owned(),
            study: facts,
        }
    }

    #[test]
    fn a_pattern_is_met_by_what_it_says() {
        for (pattern, text, is) in [
            ("head*", "head mr", true),
            ("*head*", "mr of head and neck", true),
            ("*head", "head mr", false),
            ("h?ad", "head", true),
            ("h?ad", "had", false),
            ("", "", true),
            ("*", "", true),
            ("", "x", false),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_a_rule_asks_for_has_to_hold() {
        let facts = StudyFacts {
            modalities: vec!["MR".to_owned(), "SEG".to_owned()],
            body_parts: vec!["HEAD".to_owned()],
            description: "MRT Schädel nativ".to_owned(),
        };
        let rule = |text: &str| {
            let rule: Rule = serde_json::from_str(text).unwrap();
            rule.checked().unwrap()
        };
        let takes = |text: &str| rule(text).takes(&results(facts.clone()));
        for all in [
            "{}",
            r#"{"models": ["brain", "lung"]}"#,
            r#"{"modalities": ["mr"], "body_parts": ["head"]}"#,
            r#"{"study_description": "*SCHADEL*"}"#,
        ] {
            assert!(takes(all), "{all}");
        }
        for none in [
            r#"{"models": ["lung"]}"#,
            r#"{"modalities": ["CT"]}"#,
            r#"{"modalities": ["MR"], "body_parts": ["KNEE"]}"#,
            r#"{"study_description": "schadel"}"#,
        ] {
            assert!(!takes(none), "{none}");
        }
        let unknown = results(StudyFacts::default());
        assert!(rule("{}").takes(&unknown));
        assert!(!rule(r#"{"modalities": ["MR"]}"#).takes(&unknown));
        assert!(!rule(r#"{"study_description": "*head*"}"#).takes(&unknown));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        for rule in [
            Rule {
                models: many,
                ..Rule::default()
            },
            Rule {
                modalities: vec![String::new()],
                ..Rule::default()
            },
            Rule {
                study_description: Some("*a".repeat(9)),
                ..Rule::default()
            },
        ] {
            assert!(rule.clone().checked().is_err(), "{rule:?}");
        }
    }
}
