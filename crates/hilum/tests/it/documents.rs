//! What the documents name is there: links, headings, files, tests, commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hilum_testkit::run;

/// Folders that a document's shortened path may begin in.
const BEGINNINGS: [&str; 5] = ["", "crates", "crates/services", "crates/protocols", "web"];

const NOT_OURS: [&str; 3] = ["target", "node_modules", "dist"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A document, without its blocks of code.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: &Path) -> Self {
        let whole = std::fs::read_to_string(root().join(path)).unwrap();
        let mut is_code = false;
        let mut text = String::new();
        for line in whole.lines() {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            } else if !is_code {
                text.push_str(line);
                text.push('\n');
            }
        }
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// Every document, but for those of others and of what was built.
    fn all() -> Vec<Self> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let path = folder.join(&name);
                let is_ours = !name.starts_with('.') && !NOT_OURS.contains(&name.as_str());
                if entry.file_type().unwrap().is_dir() && is_ours {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "md") {
                    found.push(Self::read(&path));
                }
            }
        }
        assert!(found.len() > 20, "{} documents", found.len());
        found
    }

    /// What stands between `open` and `close`, and what follows each.
    fn spans(&self, open: &str, close: &str) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for line in self.text.lines() {
            let mut rest = line;
            while let Some((_, after)) = rest.split_once(open) {
                let Some((inside, after)) = after.split_once(close) else {
                    break;
                };
                found.push((inside, after));
                rest = after;
            }
        }
        found
    }

    /// The names by which its headings are linked to (as GitHub makes them).
    fn headings(&self) -> BTreeSet<String> {
        let heads = self.text.lines().filter(|line| line.starts_with('#'));
        heads
            .map(|line| {
                let text = line.trim_start_matches('#').trim().to_lowercase();
                let kept = text
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in Document::all() {
        let folder = document.path.parent().unwrap();
        for (target, _) in document.spans("](", ")") {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.path.clone(),
                file => folder.join(file),
            };
            let leads = root().join(&path).exists()
                && (heading.is_empty() || Document::read(&path).headings().contains(heading));
            if !leads {
                wrong.push(format!("{}: {target}", document.path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "links that lead nowhere:\n{}",
        wrong.join("\n")
    );
}

/// The names in `(`a`, `b`)` at the beginning of a text.
fn names_behind(text: &str) -> Vec<&str> {
    let Some((inside, _)) = text
        .strip_prefix(" (`")
        .and_then(|text| text.split_once("`)"))
    else {
        return Vec::new();
    };
    inside.split("`, `").collect()
}

#[test]
fn every_file_and_every_test_that_a_document_names_is_there() {
    let kinds = [".rs", ".ts", ".tsx", ".mjs", ".py", ".sql", ".toml", ".md"];
    let mut wrong = Vec::new();
    for document in Document::all() {
        for (named, behind) in document.spans("`", "`") {
            let is_path = named.contains('/')
                && !named.starts_with('/')
                && kinds.iter().any(|kind| named.ends_with(kind))
                && named
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
            // What an installation holds is written in capitals: `DATA/…`.
            if !is_path || named.starts_with("DATA/") {
                continue;
            }
            let path = BEGINNINGS.map(|folder| root().join(folder).join(named));
            let told = |what: &str| format!("{}: {what}", document.path.display());
            let Some(path) = path.iter().find(|path| path.is_file()) else {
                wrong.push(told(named));
                continue;
            };
            let text = std::fs::read_to_string(path).unwrap();
            for name in names_behind(behind) {
                if !text.contains(name) {
                    wrong.push(told(&format!("{named} holds no {name}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "what is not there:\n{}", wrong.join("\n"));
}

/// What `hilum WORDS --help` says, if there is such a command.
fn help(words: &[&str]) -> Option<String> {
    let output = run(Command::new(env!("CARGO_BIN_EXE_hilum"))
        .args(words)
        .arg("--help"));
    let said = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(said)
}

#[test]
fn every_command_that_a_document_names_is_there_with_its_options() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let is_word = |text: &&str| text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    // What a format's keys are derived for begins like a command.
    let documents = Document::all().into_iter();
    for document in documents.filter(|document| !document.path.starts_with("docs/formats")) {
        for (named, _) in document.spans("`", "`") {
            let told = format!("{}: {named}", document.path.display());
            if let Some(target) = named.strip_prefix("make ") {
                let target = target.split(' ').next().unwrap_or_default();
                if is_word(&target) && !makefile.contains(&format!("\n{target}:")) {
                    wrong.push(told);
                }
                continue;
            }
            let Some(rest) = named.strip_prefix("hilum ") else {
                continue;
            };
            if !seen.insert(named.to_owned()) {
                continue;
            }
            let said = rest.split([' ', '|']);
            let words: Vec<_> = said.clone().take_while(is_word).collect();
            // `hilum audit verify` is a command's command; `hilum verify` is none.
            let Some(text) = (1..=words.len().min(2))
                .rev()
                .find_map(|many| help(words.get(..many)?))
            else {
                wrong.push(told);
                continue;
            };
            let options = said.filter_map(|word| word.trim_matches(['[', ']']).strip_prefix("--"));
            for option in options {
                let option = option.split('=').next().unwrap_or_default();
                if !text.contains(&format!("--{option}")) && option != "help" {
                    wrong.push(told.clone());
                }
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
    assert!(
        wrong.is_empty(),
        "no such command or option:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_attack_of_the_list_has_a_test() {
    let text = Document::read(Path::new("SECURITY.md")).text;
    let list = text.split_once("## Attacks").unwrap().1;
    let list = list.split_once("\n## ").unwrap().0;
    let rows = list.lines().filter(|line| line.starts_with("| ")).skip(1);
    let untried: Vec<_> = rows.filter(|row| !row.contains(".rs` (`")).collect();
    assert!(
        untried.is_empty(),
        "no test tries this:\n{}",
        untried.join("\n")
    );
    let known = [
        "session fixation",
        "replay",
        "algorithm confusion",
        "query string",
        "IDOR",
        "mass assignment",
        "SQL injection",
        "log injection",
        "path traversal",
        "gzip bombs",
        "smuggling",
        "open redirect",
        "mix-up",
        "state theft",
        "HTML in patient names",
        "SSRF",
    ];
    let missing: Vec<_> = known
        .iter()
        .filter(|attack| !list.contains(**attack))
        .collect();
    assert!(missing.is_empty(), "not in the list: {missing:?}");
}

/// Names of figures in a text.
fn figures(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(move |c| !is_part(c));
    words
        .filter(|word| {
            ["hilum_", "archive_"]
                .iter()
                .any(|begin| word.starts_with(begin))
        })
        .map(|word| {
            let ends = ["_bucket", "_sum", "_count"];
            let end = ends.iter().find_map(|end| word.strip_suffix(end));
            end.unwrap_or(word)
        })
}

#[test]
fn every_figure_that_alerts_and_dashboards_ask_for_is_told() {
    let source = crate::architecture::source_files(&root().join("crates"));
    let source: String = source
        .iter()
        .filter(|file| !file.components().any(|part| part.as_os_str() == "tests"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let mut asked = BTreeSet::new();
    for file in [
        "deploy/prometheus/hilum.rules.yml",
        "deploy/prometheus/hilum.test.yml",
        "deploy/grafana/hilum.json",
        "deploy/README.md",
    ] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        asked.extend(figures(&text).map(ToOwned::to_owned));
    }
    assert!(asked.len() > 10, "{asked:?}");
    for figure in asked {
        assert!(source.contains(&format!("\"{figure}\"")), "{figure}");
    }
    let board = std::fs::read_to_string(root().join("deploy/grafana/hilum.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&board).unwrap();
    assert!(board["panels"].as_array().unwrap().len() > 10);
}
