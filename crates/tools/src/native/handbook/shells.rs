//! Completion scripts: pure, from pages to bash, zsh and fish. The words are in the script; names of topics and groups
//! are asked of the cluster on the line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::page::{Opt, Page};

/// Options whose value is a topic, a group, a file.
const TOPICS: &str = "--topic|-t|--input-topic|--topics-include";
const GROUPS: &str = "--group|-G";
const FILES: &str = "--command-config|--command-property-file|--config|-c|--from-file|--path-to-json-file|--reassignment-json-file|--topics-to-move-json-file|--offset-json-file|--payload-file|--files|--snapshot|-s|--add-config-file|--data-dir|--before-move|--dir|--producer.config|--consumer.config";
/// Commands whose own arguments are names.
const OF_TOPICS: &str = "topic";
const OF_GROUPS: &str = "group";

fn flags(options: &[Opt]) -> Vec<&str> {
    options.iter().flat_map(Opt::names).collect()
}

/// `tool command` to the words that may follow, for all tools; a tool alone has its commands first.
fn words(pages: &BTreeMap<String, Page>) -> Vec<(String, String)> {
    let mut rows = vec![("ottla".to_owned(), pages.keys().cloned().collect::<Vec<_>>().join(" "))];
    for page in pages.values() {
        let commands = page.commands.iter().map(|command| command.name.as_str());
        let all: Vec<&str> = commands.chain(flags(&page.options)).collect();
        rows.push((page.name.clone(), all.join(" ")));
        for command in &page.commands {
            let own = command.page.as_ref().map(|page| flags(&page.options)).unwrap_or_default();
            rows.push((format!("{} {}", page.name, command.name), own.join(" ")));
        }
    }
    rows
}

/// The tools as they are called on a line.
fn callable(pages: &BTreeMap<String, Page>) -> Vec<String> {
    let kafka = pages.keys().filter(|name| name.starts_with("kafka-"));
    kafka.flat_map(|name| [name.clone(), format!("{name}.sh")]).collect()
}

/// What bash and zsh share: the table, and the names in the cluster that the line names.
fn shared(pages: &BTreeMap<String, Page>) -> String {
    let mut out = String::from("_ottla_words() {\n  case \"$1\" in\n");
    for (key, words) in words(pages) {
        let _ = writeln!(out, "    '{key}') echo '{words}' ;;");
    }
    out.push_str(
        "  esac
}

# _ottla_names topics|groups LINE
_ottla_names() {
  local server
  server=$(printf '%s\\n' \"$2\" | sed -n 's/.*\\(--bootstrap-server\\|--bootstrap\\|--broker-list\\|-b\\)[= ]\\{1,\\}\\([^ ]*\\).*/\\2/p')
  ottla completion --names \"$1\" ${server:+-b \"$server\"} 2>/dev/null
}

# _ottla_candidates LINE PREVIOUS WORDS-BEFORE-THE-ONE-THAT-IS-TYPED...
_ottla_candidates() {
  local line=\"$1\" previous=\"$2\" tool=\"${3##*/}\" command='' word
  shift 3
  tool=\"${tool%.sh}\"
  if [ \"$tool\" = ottla ]; then
    if [ $# -eq 0 ]; then _ottla_words ottla; return; fi
    tool=\"${1%.sh}\"
    shift
  fi
  case \"$previous\" in
",
    );
    let _ = writeln!(out, "    {TOPICS}) _ottla_names topics \"$line\"; return ;;");
    let _ = writeln!(out, "    {GROUPS}) _ottla_names groups \"$line\"; return ;;");
    let _ = writeln!(out, "    {FILES}) return ;;");
    out.push_str(
        "  esac
  for word in \"$@\"; do
    if [ -n \"$(_ottla_words \"$tool $word\")\" ]; then command=\"$word\"; break; fi
  done
  if [ -z \"$command\" ]; then _ottla_words \"$tool\"; return; fi
  _ottla_words \"$tool $command\"
  case \"$tool\" in
",
    );
    let _ = writeln!(out, "    {OF_TOPICS}) _ottla_names topics \"$line\" ;;");
    let _ = writeln!(out, "    {OF_GROUPS}) _ottla_names groups \"$line\" ;;");
    out.push_str("  esac\n}\n");
    out
}

pub(super) fn bash(pages: &BTreeMap<String, Page>) -> String {
    let mut out = String::from(
        "# Completion of ottla and Kafka's tools for bash, made by `ottla completion bash`.\n\n",
    );
    out.push_str(&shared(pages));
    out.push_str(
        "
_ottla() {
  local typed=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"
  # bash cuts words at a colon: host:port is three of them.
  [ \"$typed\" = ':' ] && typed=''
  local before=(\"${COMP_WORDS[@]:0:COMP_CWORD}\")
  COMPREPLY=($(compgen -W \"$(_ottla_candidates \"$COMP_LINE\" \"$previous\" \"${before[@]}\")\" -- \"$typed\"))
}
",
    );
    let _ = writeln!(out, "complete -o default -F _ottla ottla {}", callable(pages).join(" "));
    out
}

pub(super) fn zsh(pages: &BTreeMap<String, Page>) -> String {
    let mut out = format!("#compdef ottla {}\n", callable(pages).join(" "));
    out.push_str("# Completion of ottla and Kafka's tools for zsh, made by `ottla completion zsh`.\n\n");
    out.push_str(&shared(pages));
    out.push_str(
        "
_ottla() {
  local -a found before
  before=(\"${(@)words[1,CURRENT-1]}\")
  found=(${=\"$(_ottla_candidates \"${words[*]}\" \"${words[CURRENT-1]}\" \"${before[@]}\")\"})
  if (( $#found )); then compadd -a found; else _files; fi
}

if [ \"$funcstack[1]\" = _ottla ]; then _ottla \"$@\"; else compdef _ottla ",
    );
    let _ = writeln!(out, "ottla {}; fi", callable(pages).join(" "));
    out
}

/// A text between single quotes of fish.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

pub(super) fn fish(pages: &BTreeMap<String, Page>) -> String {
    let mut out = String::from(
        "# Completion of ottla and Kafka's tools for fish, made by `ottla completion fish`.

function __ottla_names
    set -l line (commandline -p)
    set -l server (string match -rg -- '(?:--bootstrap-server|--bootstrap|--broker-list|-b)[= ]+(\\S+)' $line)
    if test -n \"$server[1]\"
        ottla completion --names $argv[1] -b $server[1] 2>/dev/null
    else
        ottla completion --names $argv[1] 2>/dev/null
    end
end

",
    );
    for page in pages.values() {
        if page.name.starts_with("kafka-") {
            for called in [page.name.clone(), format!("{}.sh", page.name)] {
                fish_tool(page, &called, "", &mut out);
            }
        }
        let _ = writeln!(
            out,
            "complete -c ottla -f -n __fish_use_subcommand -a {} -d {}",
            page.name,
            quoted(&page.short())
        );
        fish_tool(page, "ottla", &page.name, &mut out);
    }
    out
}

/// The lines of a tool called as `called`; behind `behind`, if that is not empty.
fn fish_tool(page: &Page, called: &str, behind: &str, out: &mut String) {
    let seen =
        if behind.is_empty() { String::new() } else { format!("__fish_seen_subcommand_from {behind}") };
    let commands: Vec<&str> = page.commands.iter().map(|command| command.name.as_str()).collect();
    let when = |more: &str| match (seen.is_empty(), more.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" -n {}", quoted(more)),
        (false, true) => format!(" -n {}", quoted(&seen)),
        (false, false) => format!(" -n {}", quoted(&format!("{seen}; and {more}"))),
    };
    for option in &page.options {
        fish_option(option, called, &when(""), out);
    }
    for command in &page.commands {
        let unseen = format!("not __fish_seen_subcommand_from {}", commands.join(" "));
        let about = quoted(command.about.trim_end_matches('.'));
        let _ = writeln!(out, "complete -c {called} -f{} -a {} -d {about}", when(&unseen), command.name);
        let own = format!("__fish_seen_subcommand_from {}", command.name);
        for option in command.page.iter().flat_map(|page| &page.options) {
            fish_option(option, called, &when(&own), out);
        }
        let names = match page.name.as_str() {
            OF_TOPICS => "topics",
            OF_GROUPS => "groups",
            _ => continue,
        };
        let _ = writeln!(out, "complete -c {called} -f{} -a '(__ottla_names {names})'", when(&own));
    }
}

fn fish_option(option: &Opt, called: &str, when: &str, out: &mut String) {
    let names = option.names();
    let mut line = format!("complete -c {called}{when}");
    for name in &names {
        match name.strip_prefix("--") {
            Some(long) => line.push_str(&format!(" -l {long}")),
            None if name.len() == 2 => line.push_str(&format!(" -s {}", &name[1..])),
            None => line.push_str(&format!(" -o {}", &name[1..])),
        }
    }
    let is_one_of = |list: &str| names.iter().any(|name| list.split('|').any(|known| known == *name));
    if option.takes_value() {
        line.push_str(if is_one_of(TOPICS) {
            " -x -a '(__ottla_names topics)'"
        } else if is_one_of(GROUPS) {
            " -x -a '(__ottla_names groups)'"
        } else if is_one_of(FILES) {
            " -r"
        } else {
            " -x"
        });
    }
    let first = option.about.split(". ").next().unwrap_or_default();
    let _ = writeln!(out, "{line} -d {}", quoted(first.trim_end_matches('.')));
}
