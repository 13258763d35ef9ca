//! QIDO-RS queries (PS3.18 §8.3.4, §10.6): from a query string to typed
//! conditions. Owns which attributes can be matched, and how; what can't be
//! matched is refused, never silently ignored.

mod attribute;
mod condition;

pub use attribute::{Attribute, Level, Path, parse_path};
pub use condition::{Condition, DateRange, TimeRange};

use crate::limits;
use crate::{Refusal, parameters};

/// One condition on one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// What is matched.
    pub attribute: Attribute,
    /// What its value must be.
    pub condition: Condition,
}

/// What the answer carries beyond what the level requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// `includefield=all`.
    pub all: bool,
    /// Attributes asked for by `includefield`, or by being matched.
    pub attributes: Vec<Path>,
}

/// A search for studies, series or instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What is searched for.
    pub level: Level,
    /// Conditions, all of which must hold.
    pub filters: Vec<Match>,
    /// What the answer carries.
    pub include: Include,
    /// Most results wanted.
    pub limit: Option<u32>,
    /// Results to leave out first.
    pub offset: u64,
    /// Whether fuzzy matching of names was asked for. It is optional for a
    /// server (PS3.18 §8.3.4.2), which then says so with [`FUZZY_WARNING`].
    pub fuzzy: bool,
}

/// The Warning header's value with which PS3.18 §8.3.4.2 has a server say that
/// it matched literally.
pub const FUZZY_WARNING: &str = "299 hilum \"The fuzzymatching parameter is not supported. Only literal matching has been performed.\"";

impl Query {
    /// Parses a query string, without its `?`.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] when a parameter is malformed, or asks for
    /// matching that is not supported.
    pub fn parse(level: Level, query: &str) -> Result<Self, Refusal> {
        let pairs = parameters::parse(query)?;
        let mut parsed = Self {
            level,
            filters: Vec::new(),
            include: Include::default(),
            limit: None,
            offset: 0,
            fuzzy: false,
        };
        let (mut empty_values, mut asked_for_empty) = (false, false);
        for (name, value) in &pairs {
            match name.to_ascii_lowercase().as_str() {
                "includefield" => parsed.include(value)?,
                "limit" => {
                    parameters::single(&pairs, "limit")?;
                    let limit: u64 = number("limit", value)?;
                    parsed.limit = Some(u32::try_from(limit).unwrap_or(u32::MAX));
                }
                "offset" => {
                    parameters::single(&pairs, "offset")?;
                    parsed.offset = number("offset", value)?;
                }
                "fuzzymatching" => parsed.fuzzy = boolean("fuzzymatching", value)?,
                "emptyvaluematching" => empty_values = boolean("emptyvaluematching", value)?,
                // Lists of UIDs and modalities are matched with and without it;
                // other lists are refused with and without it.
                "multiplevaluematching" => {
                    boolean("multiplevaluematching", value)?;
                }
                "accept" | "charset" => {}
                "match" => {
                    let (name, value) = value
                        .split_once('=')
                        .ok_or_else(|| Refusal::bad("`match` is {attribute}={value}"))?;
                    asked_for_empty |= value == "\"\"";
                    parsed.filter(name, value)?;
                }
                _ => {
                    asked_for_empty |= value == "\"\"";
                    parsed.filter(name, value)?;
                }
            }
        }
        if empty_values && asked_for_empty {
            return Err(Refusal::bad("empty value matching is not supported"));
        }
        Ok(parsed)
    }

    fn include(&mut self, value: &str) -> Result<(), Refusal> {
        for name in value
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if name.eq_ignore_ascii_case("all") {
                self.include.all = true;
            } else {
                let path = parse_path(name)?;
                self.ask_for(path);
            }
        }
        Ok(())
    }

    fn ask_for(&mut self, path: Path) {
        if !self.include.attributes.contains(&path) {
            self.include.attributes.push(path);
        }
    }

    fn filter(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let path = parse_path(name)?;
        let attribute = Attribute::at(&path);
        let condition = match attribute {
            Some(attribute) => Condition::parse(attribute, value)?,
            // Universal matching only asks for the attribute to be returned.
            None if value.is_empty() => None,
            None => return Err(unsupported(name, self.level)),
        };
        self.ask_for(path);
        if let (Some(attribute), Some(condition)) = (attribute, condition) {
            if attribute.level() > self.level {
                return Err(unsupported(name, self.level));
            }
            if self
                .filters
                .iter()
                .any(|filter| filter.attribute == attribute)
            {
                return Err(Refusal::bad(format!(
                    "`{}` is given more than once",
                    attribute.keyword()
                )));
            }
            self.filters.push(Match {
                attribute,
                condition,
            });
        }
        Ok(())
    }
}

fn unsupported(name: &str, level: Level) -> Refusal {
    let known: Vec<&str> = Attribute::ALL
        .iter()
        .filter(|attribute| attribute.level() <= level)
        .map(|attribute| attribute.keyword())
        .collect();
    // `name` was parsed as an attribute before: it is no value of a patient.
    Refusal::bad(format!(
        "matching on `{name}` is not supported here; supported are {}",
        known.join(", ")
    ))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Refusal> {
    value
        .trim()
        .parse()
        .map_err(|_| Refusal::bad(format!("`{name}` is a whole number from 0 on")))
}

fn boolean(name: &str, value: &str) -> Result<bool, Refusal> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(Refusal::bad(format!("`{name}` is true or false"))),
    }
}

/// Keeps a bound on lists of values.
fn check_count(count: usize) -> Result<(), Refusal> {
    if count > limits::VALUES {
        return Err(Refusal::bad(format!(
            "more than {} values in one list",
            limits::VALUES
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
