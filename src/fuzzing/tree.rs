//! The target for replies: makes a tree, writes it in each form, and compares it with what readers see.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::{split, sure};
use crate::aci::element::{
    Content, Element, MAX_DEPTH, each_attribute, json_name, legal_text, mended_name,
};
use crate::aci::response::{ListWriter, ResponseFormat, success};

/// Elements nested deeper than this are beyond what `serde_json` reads.
const JSON_DEPTH: usize = 50;

/// The most open elements of a tree that is made here: some more than are written.
const DEEPEST: usize = MAX_DEPTH + 20;

/// Commands beyond these are left out: a tree takes many times the room of the few bytes that ask for it.
const MOST_COMMANDS: usize = 50_000;

/// Input: a line with the action's name, then one command a line. `<name` opens an element, `>` closes it, `@name=value`
/// gives it an attribute, `"text` makes it hold text; any other line is an element with text, `name=text`. A pilcrow in
/// a text stands for a line feed.
pub fn render(data: &[u8]) {
    let [action, commands] = split(data);
    let action = String::from_utf8_lossy(action);
    let (elements, depth) = build(&String::from_utf8_lossy(commands));
    let action = action.as_ref();

    let xml = success(action, &elements, ResponseFormat::Xml);
    check_reply(&xml, ResponseFormat::Xml);
    let text = String::from_utf8_lossy(&xml);
    let read = sure("a reply", &text, roxmltree::Document::parse(&text));
    let data = read.root_element().last_element_child();
    let data = sure("responsedata", &text, data.ok_or(()));
    check_elements(data, &elements, 0);

    for format in [ResponseFormat::Json, ResponseFormat::SimpleJson] {
        let json = success(action, &elements, format);
        if depth > JSON_DEPTH {
            check_brackets(&json);
            continue;
        }
        check_reply(&json, format);
        let read: Value = sure("a reply", &"", serde_json::from_slice(&json));
        let mut seen = Vec::new();
        let data = read.pointer("/autnresponse/responsedata");
        strings_of_value(sure("responsedata", &read, data.ok_or(())), &mut seen);
        let mut wanted = Vec::new();
        elements.iter().for_each(|element| strings_of_element(element, &mut wanted));
        seen.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(seen, wanted, "{}", String::from_utf8_lossy(&json));
    }
    check_lists(action, elements);
}

/// Checks that a reply is read by a reader of its form, whatever it holds.
pub(super) fn check_reply(reply: &[u8], format: ResponseFormat) {
    let text = sure("a reply", &"", std::str::from_utf8(reply));
    assert!(!text.contains(['\n', '\r']) || format == ResponseFormat::Xml, "{text}");
    if format != ResponseFormat::Xml {
        let read: Value = sure("a reply", text, serde_json::from_str(text));
        let root = read.get("autnresponse").and_then(Value::as_object);
        let names: Option<Vec<_>> = root.map(|root| root.keys().map(String::as_str).collect());
        assert_eq!(names.map(|names| names.len()), Some(3), "{text}");
        return;
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    loop {
        match sure("a reply", text, reader.read_event()) {
            Event::Eof => return,
            Event::Start(start) | Event::Empty(start) => {
                for attribute in start.attributes() {
                    let attribute = sure("an attribute", text, attribute);
                    sure("a value", text, quick_xml::escape::unescape(&attribute.value));
                }
            }
            Event::GeneralRef(reference) => {
                let known = ["amp", "lt", "gt", "quot"].contains(&&*reference);
                let number = sure("a reference", text, reference.resolve_char_ref());
                assert!(known || number.is_some(), "{text}");
            }
            Event::Decl(_) | Event::End(_) | Event::Text(_) => {}
            other => panic!("{other:?} in a reply: {text}"),
        }
    }
}

/// Makes the elements that stand under `responsedata`, and tells how deep they are.
fn build(commands: &str) -> (Vec<Element>, usize) {
    let mut open = vec![Element::new("responsedata")];
    let mut deepest = 0;
    for line in commands.split('\n').take(MOST_COMMANDS) {
        let mut letters = line.chars();
        let command = letters.next();
        let rest = letters.as_str();
        let (top, room) = (open.len() == 1, open.len() <= DEEPEST);
        match (command, open.last_mut()) {
            (Some('<'), _) if room => {
                open.push(Element::new(rest.to_owned()));
                deepest = deepest.max(open.len());
            }
            (Some('>'), _) if !top => close(&mut open),
            (Some('@'), Some(element)) if !top => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                element.attributes.push((name.to_owned().into(), value.replace('¶', "\n")));
            }
            (Some('"'), Some(element)) if !top => {
                element.content = Content::Text(rest.replace('¶', "\n"));
            }
            (Some(_), Some(element)) => {
                let (name, text) = line.split_once('=').unwrap_or((line, ""));
                add(element, Element::text(name.to_owned(), text.replace('¶', "\n")));
            }
            (None, _) | (_, None) => {}
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    match open.pop().map(|root| root.content) {
        Some(Content::Elements(elements)) => (elements, deepest),
        _ => (Vec::new(), 0),
    }
}

fn close(open: &mut Vec<Element>) {
    if let Some(element) = open.pop()
        && let Some(parent) = open.last_mut()
    {
        add(parent, element);
    }
}

fn add(parent: &mut Element, child: Element) {
    match &mut parent.content {
        Content::Elements(elements) => elements.push(child),
        Content::Text(_) => parent.content = Content::Elements(vec![child]),
    }
}

/// Compares what a reader sees in an element with what it was made of.
fn check_elements(seen: roxmltree::Node<'_, '_>, wanted: &[Element], depth: usize) {
    let children: Vec<_> = seen.children().collect();
    assert_eq!(children.len(), wanted.len(), "in {:?} at depth {depth}", seen.tag_name());
    for (seen, wanted) in children.into_iter().zip(wanted) {
        let prefixed = |name: &str| name.starts_with("autn:");
        assert_eq!(seen.tag_name().name(), json_name(&wanted.name));
        assert_eq!(seen.tag_name().namespace().is_some(), prefixed(&mended_name(&wanted.name)));
        let mut attributes = Vec::new();
        each_attribute(&wanted.attributes, mended_name, |name, value| {
            let local = name.strip_prefix("autn:").unwrap_or(name).to_owned();
            attributes.push((prefixed(name), local, legal_text(value).into_owned()));
        });
        let found = seen.attributes().map(|attribute| {
            let name = attribute.name().to_owned();
            (attribute.namespace().is_some(), name, attribute.value().to_owned())
        });
        assert!(found.eq(attributes), "{:?}", wanted.attributes);
        match &wanted.content {
            Content::Text(text) => {
                assert_eq!(seen.text().unwrap_or_default(), legal_text(text));
            }
            Content::Elements(_) if depth >= MAX_DEPTH => check_elements(seen, &[], depth),
            Content::Elements(elements) => check_elements(seen, elements, depth + 1),
        }
    }
}

/// A list that is written item by item is the same as one that is written whole.
fn check_lists(action: &str, mut items: Vec<Element>) {
    for format in [ResponseFormat::Xml, ResponseFormat::Json, ResponseFormat::SimpleJson] {
        items.iter_mut().for_each(|item| item.name = "action".into());
        let whole = Element::new("actions").children(items.clone());
        let whole = success(action, &[whole], format);
        assert!(streamed(ListWriter::new(action, format), &items) == whole, "{format:?}");
        items.iter_mut().for_each(|item| item.name = "request".into());
        let whole = success(action, &items, format);
        assert!(streamed(ListWriter::requests(action, format), &items) == whole, "{format:?}");
    }
}

fn streamed(mut writer: ListWriter, items: &[Element]) -> Vec<u8> {
    let mut out = writer.head();
    items.iter().for_each(|item| writer.item(item, &mut out));
    out.extend(writer.tail());
    out
}

fn strings_of_value(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings_of_value(value, out)),
        Value::Object(members) => members.values().for_each(|value| strings_of_value(value, out)),
        other => panic!("{other} in a reply"),
    }
}

fn strings_of_element(element: &Element, out: &mut Vec<String>) {
    each_attribute(&element.attributes, json_name, |_, value| {
        out.push(legal_text(value).into_owned());
    });
    match &element.content {
        Content::Text(text) => out.push(legal_text(text).into_owned()),
        Content::Elements(elements) => {
            elements.iter().for_each(|element| strings_of_element(element, out));
        }
    }
}

/// Checks that brackets outside of strings match, at any depth.
fn check_brackets(json: &[u8]) {
    let mut open = Vec::new();
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => assert_eq!(open.pop(), Some(*byte), "brackets do not match"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "brackets stay open");
}
