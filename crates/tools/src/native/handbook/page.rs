//! A tool's help, read: joptsimple's table, argparse4j's blocks or clap's lists, whichever it is. Pure.

/// What a tool says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) name: String,
    /// What it is for: paragraphs.
    pub(super) about: Vec<String>,
    /// The usage as it was printed; empty if the tool prints none.
    pub(super) usage: String,
    pub(super) options: Vec<Opt>,
    pub(super) commands: Vec<Sub>,
    /// Lines that show how it is used.
    pub(super) examples: Vec<String>,
}

/// An option with the text in front of its description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Opt {
    /// `-b, --bootstrap <BOOTSTRAP>`
    pub(super) title: String,
    pub(super) about: String,
}

/// A command of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sub {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) page: Option<Box<Page>>,
}

impl Opt {
    /// `-b` and `--bootstrap`.
    pub(super) fn names(&self) -> Vec<&str> {
        let words = self.title.split([' ', ',', '=', '[']);
        words.filter(|word| word.len() > 1 && word.starts_with('-') && *word != "--").collect()
    }

    pub(super) fn takes_value(&self) -> bool {
        self.title.contains(['<', '['])
            || self.title.split(' ').any(|word| {
                let word = word.trim_end_matches(',');
                !word.starts_with('-') && !word.is_empty()
            })
    }
}

impl Page {
    /// The name of its manual page.
    pub(super) fn title(&self) -> String {
        if self.name.starts_with("kafka-") { self.name.clone() } else { format!("ottla-{}", self.name) }
    }

    /// How it is called.
    pub(super) fn call(&self) -> String {
        if self.name.starts_with("kafka-") { self.name.clone() } else { format!("ottla {}", self.name) }
    }

    /// One line of what it is for.
    pub(super) fn short(&self) -> String {
        let first = self.about.first().map_or(&*self.usage, String::as_str);
        let sentence = first.split(". ").next().unwrap_or_default();
        sentence.trim_end_matches(['.', ':']).to_owned()
    }
}

/// Reads what a tool printed for `--help`.
pub(super) fn read(name: &str, text: &str) -> Page {
    let lines: Vec<&str> = text.lines().collect();
    let table = lines.iter().position(|line| line.starts_with("Option ") && line.contains(" Description"));
    let mut page = match table {
        Some(at) => of_table(&lines, at),
        None => of_blocks(&lines),
    };
    name.clone_into(&mut page.name);
    page
}

fn paragraphs(lines: &[&str]) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || line.starts_with("* ") {
            paragraphs.push(String::new());
        }
        join(paragraphs.last_mut().expect("there is one"), &words.join(" "));
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// Puts a line behind another one that was broken between words, or behind a hyphen.
fn join(text: &mut String, more: &str) {
    if more.is_empty() {
        return;
    }
    let is_cut_word = text.ends_with('-') && more.starts_with(char::is_alphanumeric);
    if !text.is_empty() && !is_cut_word {
        text.push(' ');
    }
    text.push_str(more);
}

/// joptsimple: two columns, the second where the word Description stands.
fn of_table(lines: &[&str], header: usize) -> Page {
    let column = lines[header].find("Description").unwrap_or(lines[header].len());
    let mut page = Page { about: paragraphs(&lines[..header]), ..Page::default() };
    for line in &lines[(header + 2).min(lines.len())..] {
        let cut = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let (left, right) = line.split_at(cut);
        if left.starts_with(['-', '*']) {
            page.options.push(Opt::default());
        }
        let Some(option) = page.options.last_mut() else { continue };
        join(&mut option.title, left.trim_start_matches("* ").trim());
        join(&mut option.about, right.trim());
    }
    page
}

/// Which part of a help is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    About,
    Usage,
    Rows,
    Examples,
}

/// argparse4j and clap: a usage, and rows of a title and what stands two blanks or more behind it or below.
fn of_blocks(lines: &[&str]) -> Page {
    let mut page = Page::default();
    let mut about = Vec::new();
    let mut part = Part::About;
    let mut last: Option<Row> = None;
    for line in lines {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        let begin = trimmed.to_ascii_lowercase();
        if indent == 0 && begin.starts_with("usage:") {
            part = Part::Usage;
            page.usage = trimmed["usage:".len()..].trim().to_owned();
            continue;
        }
        if part == Part::Usage && !trimmed.is_empty() && indent > 0 {
            page.usage = format!("{} {trimmed}", page.usage);
            continue;
        }
        if indent == 0 && trimmed == "Examples:" {
            part = Part::Examples;
            continue;
        }
        if indent == 0 && trimmed.ends_with(':') && !trimmed.contains(". ") {
            part = Part::Rows;
            last = None;
            continue;
        }
        match part {
            Part::Usage if trimmed.is_empty() => part = Part::About,
            Part::Usage | Part::About => about.push(*line),
            Part::Examples if !trimmed.is_empty() => page.examples.push(trimmed.to_owned()),
            Part::Examples => {}
            Part::Rows if trimmed.is_empty() => {}
            Part::Rows => {
                let (title, right) = trimmed.split_once("  ").unwrap_or((trimmed, ""));
                let right = right.split_whitespace().collect::<Vec<_>>().join(" ");
                let is_command = indent <= 4
                    && title.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && title.starts_with(|c: char| c.is_ascii_lowercase());
                if indent <= 8 && title.starts_with('-') {
                    page.options.push(Opt { title: title.to_owned(), about: right });
                    last = Some(Row::Option);
                } else if is_command && (indent == 4 || !right.is_empty()) {
                    page.commands.push(Sub { name: title.to_owned(), about: right, page: None });
                    last = Some(Row::Command);
                } else if indent > 4 || last.is_some() && indent > 2 {
                    let words = trimmed.split_whitespace().collect::<Vec<_>>().join(" ");
                    match (last, page.options.last_mut(), page.commands.last_mut()) {
                        (Some(Row::Option), Some(option), _) => join(&mut option.about, &words),
                        (Some(Row::Command), _, Some(command)) => join(&mut command.about, &words),
                        _ => {}
                    }
                } else {
                    last = None;
                }
            }
        }
    }
    page.about = paragraphs(&about);
    page.usage = page.usage.split_whitespace().collect::<Vec<_>>().join(" ");
    // A positional argument of argparse4j is no command: its usage does not end in "...".
    if !page.usage.contains("...}") && !page.usage.ends_with("...") && !page.usage.ends_with("<COMMAND>") {
        page.commands.clear();
    }
    page
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    Option,
    Command,
}
