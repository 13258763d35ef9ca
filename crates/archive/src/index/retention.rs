//! How long a study must be kept, and when its time is over. Pure.

use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::model::{RetentionRule, Since};

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// What the rules ask of a study.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// `YYYYMMDD`.
    pub date: Option<String>,
    /// Unix milliseconds.
    pub last_received: i64,
    /// Between backslashes, as the index holds them.
    pub modalities: String,
}

/// Both in Unix milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub keep_until: Option<i64>,
    pub expires_at: Option<i64>,
}

/// The longest times of the rules that match; a study never expires before it
/// may be deleted.
pub(crate) fn window(rules: &[RetentionRule], of: &Facts) -> Window {
    let mut window = Window::default();
    for rule in rules.iter().filter(|rule| matches(rule, of)) {
        let since = match rule.since {
            Since::Reception => of.last_received,
            Since::StudyDate => of
                .date
                .as_deref()
                .and_then(midnight)
                .unwrap_or(of.last_received),
        };
        let after = |days: u32| since.saturating_add(i64::from(days).saturating_mul(DAY_MS));
        window.keep_until = window.keep_until.max(rule.keep_days.map(after));
        window.expires_at = window.expires_at.max(rule.expire_days.map(after));
    }
    window.expires_at = window
        .expires_at
        .map(|at| at.max(window.keep_until.unwrap_or(at)));
    window
}

fn matches(rule: &RetentionRule, of: &Facts) -> bool {
    rule.modalities.is_empty()
        || of
            .modalities
            .split('\\')
            .any(|modality| rule.modalities.iter().any(|wanted| wanted == modality))
}

fn midnight(date: &str) -> Option<i64> {
    let date = Date::parse(date, format_description!("[year][month][day]")).ok()?;
    let seconds = OffsetDateTime::new_utc(date, time::Time::MIDNIGHT).unix_timestamp();
    seconds.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(modalities: &[&str], keep: Option<u32>, expire: Option<u32>) -> RetentionRule {
        RetentionRule {
            modalities: modalities.iter().map(|&one| one.to_owned()).collect(),
            keep_days: keep,
            expire_days: expire,
            ..RetentionRule::default()
        }
    }

    fn facts(date: Option<&str>) -> Facts {
        Facts {
            date: date.map(ToOwned::to_owned),
            last_received: 50 * DAY_MS,
            modalities: "\\CT\\SR\\".to_owned(),
        }
    }

    #[test]
    fn the_longest_times_of_what_matches_count() {
        let rules = [
            rule(&[], Some(10), Some(20)),
            rule(&["CT"], Some(30), None),
            rule(&["MG"], Some(900), Some(900)),
        ];
        let window = window(&rules, &facts(Some("19700102")));
        assert_eq!(window.keep_until, Some(31 * DAY_MS));
        // Not before it may be deleted.
        assert_eq!(window.expires_at, Some(31 * DAY_MS));
    }

    #[test]
    fn without_a_readable_study_date_reception_counts() {
        for date in [None, Some("1970"), Some("19709999")] {
            let window = window(&[rule(&[], None, Some(1))], &facts(date));
            assert_eq!(window.expires_at, Some(51 * DAY_MS), "{date:?}");
        }
    }

    #[test]
    fn without_a_rule_nothing_is_kept_and_nothing_expires() {
        assert_eq!(window(&[], &facts(None)), Window::default());
    }
}
