//! An entry as a line of CSV (RFC 4180).

use std::fmt::Write as _;

use hilum_contracts::audit::Subject;
use hilum_contracts::scope::Right;
use hilum_platform::audit::Found;
use hilum_platform::clock::from_millis;
use time::format_description::well_known::Rfc3339;

/// The first line.
pub(crate) const HEAD: &str = "time,writer,position,act,outcome,count,who,name,right,from,patient_id,\
issuer,study_uid,query,reason,account,erased,details,correlation\r\n";

/// The line of an entry. `name`: what whoever did it is called. `patients`: of
/// its studies, where it names none.
pub(crate) fn line(found: &Found, name: Option<&str>, patients: &[Subject]) -> String {
    let record = &found.record;
    let named: Vec<&Subject> = found.subjects.iter().flatten().collect();
    let has_patient = named
        .iter()
        .any(|one| matches!(one, Subject::Patient { .. }));
    let others: &[Subject] = if has_patient { &[] } else { patients };
    let all = || named.iter().copied().chain(others);
    let texts = |of: fn(&Subject) -> Option<&str>| {
        let texts: Vec<&str> = all().filter_map(of).collect();
        texts.join(" ")
    };
    let mut details = String::new();
    for (name, value) in &record.details {
        let _always = write!(
            details,
            "{}{name}={value}",
            if details.is_empty() { "" } else { " " }
        );
    }
    let right = match record.right {
        Right::Role(role) => role.name().to_owned(),
        Right::BreakGlass { role, access } => format!("{role}, emergency access {access}"),
        Right::Continuation => "continuation".to_owned(),
    };
    let erased = found.subjects.iter().filter(|one| one.is_none()).count();
    let fields = [
        from_millis(record.at).format(&Rfc3339).unwrap_or_default(),
        record.writer.clone(),
        record.position.to_string(),
        record.act.name().to_owned(),
        record.outcome.name().to_owned(),
        record.count.to_string(),
        record.principal.to_string(),
        name.unwrap_or_default().to_owned(),
        right,
        record.from.map(|from| from.to_string()).unwrap_or_default(),
        texts(|one| match one {
            Subject::Patient { id, .. } => Some(id),
            _ => None,
        }),
        texts(|one| match one {
            Subject::Patient { issuer, .. } => issuer.as_deref(),
            _ => None,
        }),
        texts(|one| match one {
            Subject::Study(uid) => Some(uid),
            _ => None,
        }),
        texts(|one| match one {
            Subject::Query(text) => Some(text),
            _ => None,
        }),
        texts(|one| match one {
            Subject::Reason(text) => Some(text),
            _ => None,
        }),
        texts(|one| match one {
            Subject::Account(address) => Some(address),
            _ => None,
        }),
        erased.to_string(),
        details,
        record
            .correlation
            .map(|id| id.to_string())
            .unwrap_or_default(),
    ];
    let mut line = fields.map(|field| quoted(&field)).join(",");
    line.push_str("\r\n");
    line
}

/// A field that no spreadsheet takes for a formula.
fn quoted(field: &str) -> String {
    let begins_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if begins_formula { "'" } else { "" };
    if begins_formula || field.contains([',', '"', '\r', '\n']) {
        return format!("\"{guard}{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_field_is_neither_a_formula_nor_two_fields() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("a\"b\n"), "\"a\"\"b\n\"");
        assert_eq!(quoted("=cmd()"), "\"'=cmd()\"");
    }
}
