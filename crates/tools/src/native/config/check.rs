//! `ottla config check FILE`: everything that is wrong with a file at once, as the server would say it.

use std::process::ExitCode;

use ottla_config::{NodeConfig, Problem};
use serde_json::{Value, json};

use super::super::Form;
use super::Check;

pub(super) fn run(wanted: &Check) -> Result<ExitCode, String> {
    let shown = wanted.file.display().to_string();
    let bytes = std::fs::read(&wanted.file)
        .map_err(|error| format!("{shown}: cannot read the configuration file: {error}"))?;
    let overrides = wanted
        .overrides
        .iter()
        .map(|pair| {
            pair.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| format!("--override {pair}: not KEY=VALUE"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (errors, warnings) = match NodeConfig::load(&shown, &bytes, &overrides) {
        Ok(loaded) => (loaded.unserved, loaded.warnings),
        Err(problems) => (problems.errors, problems.warnings),
    };
    match wanted.output {
        Form::Text => {
            for error in &errors {
                println!("error: {error}");
            }
            for warning in &warnings {
                println!("warning: {warning}");
            }
            match (errors.len(), warnings.len()) {
                (0, 0) => println!("{shown}: good"),
                (0, odd) => println!("{shown}: good, {odd} to look at"),
                (wrong, odd) => println!("{shown}: {wrong} wrong, {odd} to look at"),
            }
        }
        Form::Json => {
            let list = |problems: &[Problem]| Value::Array(problems.iter().map(json_of).collect());
            println!("{}", json!({"file": shown, "errors": list(&errors), "warnings": list(&warnings)}));
        }
    }
    let bad = !errors.is_empty() || (wanted.strict && !warnings.is_empty());
    Ok(ExitCode::from(u8::from(bad)))
}

fn json_of(problem: &Problem) -> Value {
    json!({
        "place": problem.place,
        "key": problem.key,
        "value": problem.value,
        "message": problem.message,
        "allowed": problem.allowed,
        "next": problem.next,
    })
}
