//! Figures in the two text formats that scrapers read: Prometheus 0.0.4, and OpenMetrics 1.0 where it is asked for.
//! Written here and not by a library: figures are read from where they are counted when somebody asks, so that there is
//! no registry, and both formats have the names that dashboards of Apache Kafka know.

use std::fmt::Write as _;

use hyper::header::{ACCEPT, HeaderMap};

use crate::observed::{Figure, Kind, Observed};

/// How figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own.
    Text,
    /// OpenMetrics.
    OpenMetrics,
}

impl Format {
    /// What the scraper would have: OpenMetrics if it names it.
    pub(crate) fn wanted(headers: &HeaderMap) -> Format {
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        match accepted.any(|value| value.contains("application/openmetrics-text")) {
            true => Format::OpenMetrics,
            false => Format::Text,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Every figure of the node, and those of this port itself.
pub(crate) fn text(node: &dyn Observed, format: Format) -> String {
    let mut page = Page::new(format);
    node.measure(&mut |figure| page.add(&figure));
    page.end()
}

struct Page {
    out: String,
    family: &'static str,
    format: Format,
}

impl Page {
    fn new(format: Format) -> Page {
        Page { out: String::with_capacity(8 * 1024), family: "", format }
    }

    fn add(&mut self, figure: &Figure<'_>) {
        if self.family != figure.name {
            self.family = figure.name;
            // In OpenMetrics a counter's family has the name without the ending of its figures.
            let name = match (self.format, figure.kind) {
                (Format::OpenMetrics, Kind::Counter) => {
                    figure.name.strip_suffix("_total").unwrap_or(figure.name)
                }
                _ => figure.name,
            };
            let kind = match figure.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let _ = writeln!(self.out, "# HELP {name} {}", figure.help);
            let _ = writeln!(self.out, "# TYPE {name} {kind}");
        }
        self.out.push_str(figure.name);
        for (at, (key, value)) in figure.labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            self.out.push_str(key);
            self.out.push_str("=\"");
            escape(value, &mut self.out);
            self.out.push('"');
        }
        if !figure.labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {}", figure.value);
    }

    fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// The value of a label, as it stands between its quotes.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        let mut add = |name, kind, labels: &[(&str, &str)], value| {
            page.add(&Figure { name, help: "What it is.", kind, labels, value });
        };
        add("in_total", Kind::Counter, &[("topic", "a\"b\\c\nd")], 3.0);
        add("in_total", Kind::Counter, &[("topic", "e"), ("partition", "0")], 0.0);
        add("led", Kind::Gauge, &[], 2.5);
        add("end", Kind::Gauge, &[], 1e15);
        page.end()
    }

    #[test]
    fn the_text_format_names_a_family_once() {
        assert_eq!(
            page(Format::Text),
            "# HELP in_total What it is.\n# TYPE in_total counter\nin_total{topic=\"a\\\"b\\\\c\\nd\"} 3\n\
             in_total{topic=\"e\",partition=\"0\"} 0\n# HELP led What it is.\n# TYPE led gauge\nled 2.5\n\
             # HELP end What it is.\n# TYPE end gauge\nend 1000000000000000\n"
        );
    }

    #[test]
    fn open_metrics_has_an_end_and_families_without_endings() {
        let text = page(Format::OpenMetrics);
        assert!(text.contains("# TYPE in counter\nin_total{"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let wanted = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().expect("a value"));
            Format::wanted(&headers)
        };
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4";
        assert_eq!(wanted(prometheus), Format::OpenMetrics);
        assert_eq!(wanted("*/*"), Format::Text);
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::Text);
    }
}
