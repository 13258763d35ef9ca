//! A query's conditions as the archive's filters, text folded by the rule that
//! folded it on its way in.

use hilum_archive::{DateRange, InstanceFilter, NamePattern, SeriesFilter, TextPattern, TimeRange};
use hilum_dataset::text::fold;
use hilum_dicomweb::query::{Attribute, Condition, Query};

/// All conditions, on the levels that they belong to. An address is a
/// condition too; see [`within`].
pub(super) fn of(query: &Query) -> InstanceFilter {
    let mut filter = InstanceFilter::default();
    for condition in &query.filters {
        apply(
            &mut filter,
            condition.attribute,
            condition.condition.clone(),
        );
    }
    let study = &mut filter.series.study;
    study.combined_date_time = study.date.is_some() && study.time.is_some();
    filter
}

/// Keeps only the UIDs that the address names.
pub(super) fn within(uids: &mut Vec<String>, uid: Option<&str>) -> bool {
    let Some(uid) = uid else {
        return true;
    };
    let contradicts = !uids.is_empty() && !uids.iter().any(|asked| asked == uid);
    *uids = vec![uid.to_owned()];
    !contradicts
}

fn apply(filter: &mut InstanceFilter, attribute: Attribute, condition: Condition) {
    let InstanceFilter { series, .. } = filter;
    let SeriesFilter { study, .. } = series;
    match attribute {
        Attribute::StudyDate => study.date = date(condition),
        Attribute::StudyTime => study.time = time(condition),
        Attribute::AccessionNumber => study.accession = plain(condition),
        Attribute::ModalitiesInStudy => study.modalities = any_of(condition),
        Attribute::ReferringPhysicianName => study.referring_physician = name(condition),
        Attribute::StudyDescription => study.description = folded(condition),
        Attribute::PatientName => study.patient_name = name(condition),
        Attribute::PatientId => study.patient_id = plain(condition),
        Attribute::IssuerOfPatientId => study.issuer = exact(condition),
        Attribute::PatientBirthDate => study.birth_date = date(condition),
        Attribute::PatientSex => study.sex = exact(condition),
        Attribute::StudyInstanceUid => study.uids = any_of(condition),
        Attribute::StudyId => study.study_id = plain(condition),
        Attribute::Modality => series.modalities = any_of(condition),
        Attribute::SeriesDescription => series.description = folded(condition),
        Attribute::BodyPartExamined => series.body_part = plain(condition),
        Attribute::SeriesInstanceUid => series.uids = any_of(condition),
        Attribute::SeriesNumber => series.number = number(&condition),
        Attribute::PerformedProcedureStepStartDate => series.performed_step_date = date(condition),
        Attribute::PerformedProcedureStepStartTime => series.performed_step_time = time(condition),
        Attribute::ScheduledProcedureStepId => series.scheduled_step_id = plain(condition),
        Attribute::RequestedProcedureId => series.requested_procedure_id = plain(condition),
        Attribute::SopClassUid => filter.sop_classes = any_of(condition),
        Attribute::SopInstanceUid => filter.uids = any_of(condition),
        Attribute::InstanceNumber => filter.number = number(&condition),
        Attribute::NumberOfFrames => filter.frames = count(&condition),
        Attribute::Rows => filter.rows = count(&condition),
        Attribute::Columns => filter.columns = count(&condition),
    }
}

fn text(condition: Condition) -> Option<String> {
    match condition {
        Condition::Text(text) | Condition::Exact(text) => Some(text),
        _ => None,
    }
}

fn plain(condition: Condition) -> Option<TextPattern> {
    text(condition).map(TextPattern)
}

fn folded(condition: Condition) -> Option<TextPattern> {
    text(condition).map(|text| TextPattern(fold(&text)))
}

fn exact(condition: Condition) -> Option<String> {
    text(condition)
}

/// `family^given` matches in any component group; with `=` each group by
/// itself (PS3.5 §6.2.1).
fn name(condition: Condition) -> Option<NamePattern> {
    let text = text(condition)?;
    if !text.contains('=') {
        return Some(NamePattern::AnyGroup(TextPattern(fold(&text))));
    }
    let mut groups = text
        .splitn(3, '=')
        .map(|group| (!group.is_empty()).then(|| TextPattern(fold(group))));
    Some(NamePattern::Groups(std::array::from_fn(|_| {
        groups.next().flatten()
    })))
}

fn any_of(condition: Condition) -> Vec<String> {
    match condition {
        Condition::AnyOf(values) => values,
        _ => Vec::new(),
    }
}

fn date(condition: Condition) -> Option<DateRange> {
    match condition {
        Condition::Date(range) => Some(DateRange {
            from: range.from,
            to: range.to,
        }),
        _ => None,
    }
}

fn time(condition: Condition) -> Option<TimeRange> {
    match condition {
        Condition::Time(range) => Some(TimeRange {
            from: range.from,
            to: range.to,
        }),
        _ => None,
    }
}

fn number(condition: &Condition) -> Option<i64> {
    match condition {
        Condition::Number(number) => Some(*number),
        _ => None,
    }
}

/// A number that no count can be matches nothing, as does a count beyond all.
fn count(condition: &Condition) -> Option<u32> {
    number(condition).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_dicomweb::query::Level;

    #[test]
    fn names_are_folded_and_matched_by_group() {
        let query = Query::parse(Level::Study, "PatientName=M%C3%9CLLER*").unwrap();
        let filter = of(&query).series.study;
        let Some(NamePattern::AnyGroup(TextPattern(text))) = filter.patient_name else {
            panic!("one group was given");
        };
        assert_eq!(text, "muller*");
        let query = Query::parse(Level::Study, "PatientName=A=%E5%B1%B1").unwrap();
        let Some(NamePattern::Groups(groups)) = of(&query).series.study.patient_name else {
            panic!("groups were given");
        };
        assert_eq!(groups[0], Some(TextPattern("a".into())));
        assert!(groups[1].is_some() && groups[2].is_none());
    }

    #[test]
    fn date_and_time_together_are_one_moment() {
        let query = Query::parse(Level::Study, "StudyDate=20200101-&StudyTime=10-").unwrap();
        assert!(of(&query).series.study.combined_date_time);
    }

    #[test]
    fn an_address_narrows_a_condition() {
        let mut uids = vec!["1".to_owned(), "2".to_owned()];
        assert!(within(&mut uids, Some("2")));
        assert_eq!(uids, ["2"]);
        assert!(!within(&mut uids, Some("3")));
    }
}
