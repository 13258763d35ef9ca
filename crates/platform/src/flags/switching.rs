//! Switching a flag off for everybody and back, in the file of definitions: what a
//! person does in a hurry.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{FlagsError, checked, text_of};
use crate::durable;

/// Where a definition that was switched off keeps what it was. flagd takes metadata of
/// texts.
const BEFORE: &str = "before";
/// What it kept when there was none.
const NOTHING: &str = "";

/// Switches `flag` off for everybody. Whether it was not off already.
///
/// # Errors
/// When the file can't be used or written.
pub fn switch_off(file: &Path, flag: &str) -> Result<bool, FlagsError> {
    changed(file, |flags| {
        let before = match flags.get(flag) {
            Some(defined) if before(defined).is_some() => return Ok(false),
            Some(defined) => defined.to_string(),
            None => NOTHING.to_owned(),
        };
        let off = json!({
            "state": "ENABLED",
            "variants": { "on": true, "off": false },
            "defaultVariant": "off",
            "metadata": { BEFORE: before },
        });
        flags.insert(flag.to_owned(), off);
        Ok(true)
    })
}

/// Puts what `flag` was before it was switched off in its place again.
///
/// # Errors
/// When [`switch_off`] did not do it, or the file can't be used or written.
pub fn switch_back(file: &Path, flag: &str) -> Result<(), FlagsError> {
    changed(file, |flags| {
        let was = flags.get(flag).and_then(before).map(str::to_owned);
        let Some(was) = was else {
            return Err(format!("{flag} was not switched off by `hilum flags off`"));
        };
        if was == NOTHING {
            flags.remove(flag);
            return Ok(true);
        }
        let was = serde_json::from_str(&was).map_err(|_| format!("what {flag} was is damaged"))?;
        flags.insert(flag.to_owned(), was);
        Ok(true)
    })
    .map(drop)
}

/// What a definition was before it was switched off.
fn before(defined: &Value) -> Option<&str> {
    defined.get("metadata")?.get(BEFORE)?.as_str()
}

/// Changes the flags of a file, where `change` says that it did.
fn changed(
    file: &Path,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<bool, String>,
) -> Result<bool, FlagsError> {
    let wrong = |problem: String| FlagsError::new(file, problem);
    let text = text_of(file)?;
    // What it is now has to be right, so that nothing is lost that a person mistyped.
    checked(file, &text)?;
    let mut whole: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let flags = whole.get_mut("flags").and_then(Value::as_object_mut);
    let flags = flags.ok_or_else(|| wrong("it holds no flags".to_owned()))?;
    if !change(flags).map_err(wrong)? {
        return Ok(false);
    }
    let mut text = format!("{whole:#}");
    text.push('\n');
    checked(file, &text)?;
    durable::replace(file, text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    Ok(true)
}
