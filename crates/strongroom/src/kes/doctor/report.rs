//! What was found, step by step.

use serde_json::json;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    Good,
    Warning,
    Bad,
}

#[derive(Debug)]
struct Check {
    step: String,
    grade: Grade,
    words: String,
}

/// All steps so far.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Check>);

impl Report {
    pub(super) fn good(&mut self, step: impl Into<String>, words: impl Into<String>) {
        self.add(Grade::Good, step.into(), words.into());
    }

    pub(super) fn warn(&mut self, step: impl Into<String>, words: impl Into<String>) {
        self.add(Grade::Warning, step.into(), words.into());
    }

    pub(super) fn bad(&mut self, step: impl Into<String>, words: impl Into<String>) {
        self.add(Grade::Bad, step.into(), words.into());
    }

    fn add(&mut self, grade: Grade, step: String, words: String) {
        self.0.push(Check { step, grade, words });
    }

    /// How many steps there are so far.
    pub(super) fn steps(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.count(Grade::Bad) > 0
    }

    fn count(&self, grade: Grade) -> usize {
        self.0.iter().filter(|check| check.grade == grade).count()
    }

    /// A line for each step, and a sum.
    pub(super) fn in_words(&self, is_terminal: bool) -> String {
        let mut text = String::new();
        for check in &self.0 {
            let sign = match (check.grade, is_terminal) {
                (Grade::Good, true) => "✓",
                (Grade::Warning, true) => "!",
                (Grade::Bad, true) => "✗",
                (Grade::Good, false) => "ok  ",
                (Grade::Warning, false) => "warn",
                (Grade::Bad, false) => "FAIL",
            };
            text += &format!(
                "{sign} {}: {}\n",
                harmless(&check.step),
                harmless(&check.words)
            );
        }
        let sum = match (self.count(Grade::Bad), self.count(Grade::Warning)) {
            (0, 0) => "Everything is in order.".to_owned(),
            (0, warnings) => format!(
                "Nothing failed; {} to look at.",
                counted(warnings, "warning")
            ),
            (failures, 0) => format!("{} to mend.", counted(failures, "failure")),
            (failures, warnings) => format!(
                "{} to mend, {} to look at.",
                counted(failures, "failure"),
                counted(warnings, "warning")
            ),
        };
        text + "\n" + &sum + "\n"
    }

    pub(super) fn as_json(&self) -> String {
        let checks: Vec<_> = self
            .0
            .iter()
            .map(|check| {
                let result = match check.grade {
                    Grade::Good => "ok",
                    Grade::Warning => "warning",
                    Grade::Bad => "failed",
                };
                json!({"step": check.step, "result": result, "message": check.words})
            })
            .collect();
        format!("{}\n", json!({"ok": !self.has_failed(), "checks": checks}))
    }

    #[cfg(test)]
    pub(super) fn graded(&self, grade: Grade) -> Vec<String> {
        let found = self.0.iter().filter(|check| check.grade == grade);
        found
            .map(|check| format!("{}: {}", check.step, check.words))
            .collect()
    }
}

/// What a key store answered could steer a terminal.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

pub(super) fn counted(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) if what.ends_with("icy") || what.ends_with("ity") => {
            format!("{count} {stem}ies")
        }
        _ => format!("{count} {what}s"),
    }
}
