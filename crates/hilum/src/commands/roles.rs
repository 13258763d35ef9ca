//! `hilum roles`: the matrix of who may do what, as every check has it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use hilum_contracts::access::{Action, Role, allows};
use serde_json::json;

use crate::terminal;

#[derive(Args)]
pub(crate) struct Roles {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Print one JSON object.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Text,
    /// A table for documents.
    Markdown,
}

impl Roles {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        if self.json {
            terminal::line(as_json());
        } else {
            match self.format {
                Form::Text => terminal::line(text().trim_end()),
                Form::Markdown => terminal::line(markdown().trim_end()),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json() -> serde_json::Value {
    let may = |role: Role| -> Vec<&str> {
        let actions = Action::ALL.iter().filter(|action| allows(role, **action));
        actions.map(|action| action.name()).collect()
    };
    let actions: serde_json::Map<_, _> = Action::ALL
        .iter()
        .map(|action| (action.name().to_owned(), json!(action.says())))
        .collect();
    let roles: serde_json::Map<_, _> = Role::ALL
        .iter()
        .map(|role| (role.name().to_owned(), json!(may(*role))))
        .collect();
    json!({ "actions": actions, "roles": roles })
}

fn text() -> String {
    let width = Action::ALL.iter().map(|action| action.name().len()).max();
    let width = width.unwrap_or_default();
    let mut text = format!("{:width$}", "");
    for role in Role::ALL {
        text.push_str(&format!("  {}", role.name()));
    }
    text.push('\n');
    for action in Action::ALL {
        text.push_str(&format!("{:width$}", action.name()));
        for role in Role::ALL {
            let mark = if allows(role, *action) { "yes" } else { "-" };
            text.push_str(&format!("  {mark:^length$}", length = role.name().len()));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn markdown() -> String {
    let names = Role::ALL.map(Role::name).join(" | ");
    let mut text = format!("| action | what it is | {names} |\n|---|---|");
    text.push_str(&"---|".repeat(Role::ALL.len()));
    text.push('\n');
    for action in Action::ALL {
        text.push_str(&format!("| `{}` | {} |", action.name(), action.says()));
        for role in Role::ALL {
            text.push_str(if allows(role, *action) {
                " yes |"
            } else {
                " – |"
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_in_the_documents_is_the_one_of_the_checks() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/compliance/roles.md"
        );
        let document = std::fs::read_to_string(path).unwrap();
        assert!(
            document.contains(&markdown()),
            "docs/compliance/roles.md: put the output of `hilum roles --format markdown` into it"
        );
    }
}
