//! Manual pages: pure, from pages to roff.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::page::{Opt, Page};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Text as roff takes it: no line begins a request, hyphens are those that are typed.
fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let guard = |line: &str| match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    };
    escaped.lines().map(guard).collect::<Vec<_>>().join("\n")
}

fn head(title: &str, short: &str) -> String {
    let upper = title.to_uppercase();
    format!(
        ".TH {} 1 \"\" \"Ottla {VERSION}\" \"Ottla\"\n.SH NAME\n{} \\- {}\n",
        plain(&upper),
        plain(title),
        plain(short)
    )
}

fn options(options: &[Opt], out: &mut String) {
    for option in options {
        let _ = write!(out, ".TP\n\\fB{}\\fR\n{}\n", plain(&option.title), plain(&option.about));
    }
}

/// The page of a tool or command.
pub(super) fn of_tool(page: &Page) -> String {
    let mut out = head(&page.title(), &page.short());
    let usage = if page.usage.is_empty() { format!("{} [OPTIONS]", page.call()) } else { page.usage.clone() };
    let _ = write!(out, ".SH SYNOPSIS\n{}\n.SH DESCRIPTION\n", plain(&usage));
    for paragraph in &page.about {
        let _ = write!(out, ".PP\n{}\n", plain(paragraph));
    }
    if !page.options.is_empty() {
        out.push_str(".SH OPTIONS\n");
        options(&page.options, &mut out);
    }
    if !page.commands.is_empty() {
        out.push_str(".SH COMMANDS\n");
        for command in &page.commands {
            let _ = write!(out, ".SS {}\n{}\n", plain(&command.name), plain(&command.about));
            if let Some(page) = &command.page {
                options(&page.options, &mut out);
            }
        }
    }
    if !page.examples.is_empty() {
        out.push_str(".SH EXAMPLES\n.nf\n");
        for example in &page.examples {
            let _ = writeln!(out, "{}", plain(example));
        }
        out.push_str(".fi\n");
    }
    out.push_str(".SH SEE ALSO\n\\fBottla\\fR(1)\n");
    out
}

/// The page of the program: what there is.
pub(super) fn of_program(pages: &BTreeMap<String, Page>) -> String {
    let mut out = head("ottla", "a cluster that speaks Kafka, and its tools, in one program");
    out.push_str(".SH SYNOPSIS\nottla COMMAND [ARGUMENTS]\n.SH DESCRIPTION\n.PP\n");
    out.push_str(&plain(
        "The program is the server and every tool: ottla NAME, or called by the tool's name through a link.",
    ));
    out.push('\n');
    for (kafka, section) in [(false, "COMMANDS"), (true, "KAFKA'S TOOLS")] {
        let _ = writeln!(out, ".SH {}", plain(section));
        for page in pages.values().filter(|page| page.name.starts_with("kafka-") == kafka) {
            let _ = write!(out, ".TP\n\\fB{}\\fR(1)\n{}\n", plain(&page.title()), plain(&page.short()));
        }
    }
    out
}
