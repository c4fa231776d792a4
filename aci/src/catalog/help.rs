//! The help, written from the same table that requests are checked against.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ActionSpec, ParamKind, ParamSpec};
use crate::element::{Element, escape_attribute};

/// Characters that stay as they are in example requests.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2.2rem 0 .2rem;border-top:1px solid #d5dde5;padding-top:1.2rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #e8edf2}\
    th{font-weight:600}code{font:.92em ui-monospace,monospace;background:#f2f5f8;padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}\
    a{color:#0b5cad}small{color:#5b6b7b}nav a{margin-right:.8rem}";

/// Value of the header `Content-Security-Policy` for the page: a browser may show it with its own style, and no more.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-iuL+qGXEmIFJxYm3kifSuCS2kahct7uAONvjbOlbpcA='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Returns the help as elements: `actions` with an `action` for each, and its parameters, common ones included.
#[must_use]
pub fn help_elements(actions: &[&ActionSpec<'_>]) -> Vec<Element> {
    let describe = |spec: &&ActionSpec<'_>| {
        let params = all_params(spec).map(|param| {
            Element::text("parameter", param.summary.clone())
                .attribute("name", param.name.clone())
                .attribute("required", param.required.to_string())
                .attribute("allowed", param.kind.allowed())
        });
        Element::new("action")
            .child(Element::text("name", spec.name))
            .child(Element::text("summary", spec.summary))
            .child(Element::text("asynchronous", spec.asynchronous.to_string()))
            .child(Element::text("role", spec.role.name()))
            .child(Element::new("parameters").children(params))
    };
    vec![Element::new("actions").children(actions.iter().map(describe))]
}

/// Returns the help as a page that needs nothing else: `title` is its heading, `base` the path under which the server
/// answers (empty, or such as `/aci`; no slash at the end).
///
/// Examples of actions that only show something are links; those that would queue or change something are not.
#[must_use]
pub fn help_html(actions: &[&ActionSpec<'_>], title: &str, base: &str) -> String {
    let mut page = String::with_capacity(16 * 1024);
    let title = escaped(title);
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>A request names an action and its parameters; \
         names and fixed words may be written in any case. An asynchronous action is queued and returns a token, which the action \
         <code>QueueInfo</code> takes. Each action needs a role, which the administrator gives to clients.</p>\n<nav>"
    );
    for spec in actions {
        let _ = write!(page, "<a href=\"#{}\">{}</a> ", encoded(spec.name), escaped(spec.name));
    }
    page.push_str("</nav>\n");
    for spec in actions {
        write_action(spec, actions, base, &mut page);
    }
    page.push_str("</body></html>\n");
    page
}

fn write_action(spec: &ActionSpec<'_>, actions: &[&ActionSpec<'_>], base: &str, page: &mut String) {
    let kind = if spec.asynchronous { " <small>asynchronous</small>" } else { "" };
    let _ = write!(
        page,
        "<h2 id=\"{}\">{}{kind} <small>role {}</small></h2>\n<p>{}</p>\n<table><tr><th>Parameter</th><th>Meaning</th><th>Allowed</th></tr>\n",
        encoded(spec.name),
        escaped(spec.name),
        spec.role.name(),
        escaped(spec.summary)
    );
    for param in all_params(spec) {
        let name = if param.name == super::ANY { "any other name" } else { &param.name };
        let required = if param.required { " <small>required</small>" } else { "" };
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code>{required}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            escaped(&param.summary),
            escaped(&param.kind.allowed())
        );
    }
    page.push_str("</table>\n");
    for example in examples(spec, actions) {
        let text = escaped(&format!("{base}/{example}"));
        // What has to be filled in leads nowhere as it stands, and a click must change nothing.
        let _ = match spec.asynchronous || example.contains("=...") {
            true => writeln!(page, "<p><code>{text}</code></p>"),
            false => writeln!(page, "<p><a href=\"{text}\"><code>{text}</code></a></p>"),
        };
    }
}

/// Returns example requests without their slash. For `QueueInfo`, one for each queue that only shows something.
pub(super) fn examples(spec: &ActionSpec<'_>, actions: &[&ActionSpec<'_>]) -> Vec<String> {
    if spec.name == super::builtin::QUEUE_INFO.name {
        let queues = actions.iter().filter(|action| action.asynchronous);
        return queues
            .map(|queue| {
                format!("action=QueueInfo&QueueAction=getStatus&QueueName={}", encoded(queue.name))
            })
            .collect();
    }
    let mut example = format!("action={}", encoded(spec.name));
    for param in spec.params.iter().filter(|param| param.required) {
        let _ = write!(example, "&{}={}", encoded(&param.name), encoded(&sample(param.kind)));
    }
    vec![example]
}

fn sample(kind: ParamKind) -> String {
    match kind {
        ParamKind::Text
        | ParamKind::Argument
        | ParamKind::Token
        | ParamKind::Tokens
        | ParamKind::Queue => "...".to_owned(),
        ParamKind::Integer { min, max } => 1.clamp(min, max.max(min)).to_string(),
        ParamKind::Seconds { .. } => "1".to_owned(),
        ParamKind::Boolean => "true".to_owned(),
        ParamKind::OneOf(words) | ParamKind::ListOf(words) => {
            words.first().copied().unwrap_or_default().to_owned()
        }
        ParamKind::Time => "2014-07-17 15:00:00".to_owned(),
        ParamKind::EarliestStart => "+90".to_owned(),
    }
}

/// Returns the action's own parameters, then those common ones whose names it does not use itself.
fn all_params<'a>(spec: &'a ActionSpec<'_>) -> impl Iterator<Item = &'a ParamSpec> {
    let common =
        spec.common().iter().copied().flatten().filter(|param| spec.find(&param.name).is_none());
    spec.params.iter().chain(common)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    escape_attribute(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_style_is_the_only_thing_that_the_policy_lets_in() {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "{hash}");
        let page = help_html(&[], "t", "");
        assert_eq!(page.matches(STYLE).count(), 1);
        for kind in ["<script", "style=", "<img", "<link", " on", "javascript:"] {
            assert!(!page.replace(STYLE, "").contains(kind), "{kind}");
        }
    }
}
