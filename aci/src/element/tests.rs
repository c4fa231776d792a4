//! Tests of how elements are written: what is mended, and that readers see the rest as it was.

use proptest::prelude::*;
use quick_xml::events::Event;

use super::*;

fn xml(element: &Element) -> String {
    let mut out = Vec::new();
    element.write_xml(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn elements_are_written_on_one_line() {
    let table = [
        (Element::new("actions"), "<actions/>"),
        (Element::text("token", ""), "<token></token>"),
        (Element::text("token", "abc="), "<token>abc=</token>"),
        (
            Element::new("stage").attribute("title", "A").attribute("weight", "1"),
            "<stage title=\"A\" weight=\"1\"/>",
        ),
        (Element::text("a", "x").attribute("n", "v"), "<a n=\"v\">x</a>"),
        (Element::text("a", "gone").child(Element::new("b")), "<a><b/></a>"),
        (
            Element::new("a").children([Element::new("b"), Element::text("c", "d")]),
            "<a><b/><c>d</c></a>",
        ),
        (Element::new("a").attribute("n", "1").attribute("n", "2"), "<a n=\"1\"/>"),
        (Element::new("a").attribute("n 1", "1").attribute("n_1", "2"), "<a n_1=\"1\"/>"),
    ];
    for (element, expected) in table {
        assert_eq!(xml(&element), expected);
    }
}

#[test]
fn what_xml_forbids_is_replaced_and_what_it_changes_is_referenced() {
    let table = [
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d\"e'f", "a&amp;b&lt;c&gt;d&quot;e'f"),
        ("a\r\nb\tc", "a&#13;\nb\tc", "a&#13;&#10;b&#9;c"),
        ("\0\u{1}\u{1f}", "\u{FFFD}\u{FFFD}\u{FFFD}", "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ("\u{FFFE}x\u{FFFF}", "\u{FFFD}x\u{FFFD}", "\u{FFFD}x\u{FFFD}"),
        ("\u{F000}\u{FEFF}\u{1F600}", "\u{F000}\u{FEFF}\u{1F600}", "\u{F000}\u{FEFF}\u{1F600}"),
        ("]]>", "]]&gt;", "]]&gt;"),
    ];
    for (text, in_text, in_attribute) in table {
        assert_eq!(xml(&Element::text("t", text)), format!("<t>{in_text}</t>"));
        assert_eq!(
            xml(&Element::new("t").attribute("a", text)),
            format!("<t a=\"{in_attribute}\"/>")
        );
    }
}

#[test]
fn names_are_mended() {
    let table = [
        ("status", "status", "status"),
        ("autn:pid", "autn:pid", "pid"),
        ("autn:", "autn:_", "_"),
        ("", "_", "_"),
        ("9lives", "_9lives", "_9lives"),
        ("-x", "_-x", "_-x"),
        ("a b<c", "a_b_c", "a_b_c"),
        (" a", "_a", "_a"),
        ("foo:bar", "foo_bar", "foo_bar"),
        ("xmlns", "_xmlns", "_xmlns"),
        ("Größe", "Größe", "Größe"),
        ("a\u{1F600}", "a_", "a_"),
    ];
    for (name, in_xml, in_json) in table {
        assert_eq!(mended_name(name), in_xml, "{name}");
        assert_eq!(json_name(name), in_json, "{name}");
    }
}

#[test]
fn thousands_of_attributes_are_still_told_apart() {
    let mut element = Element::new("a");
    for n in 0..100 {
        element = element.attribute(format!("n{}", n % 50), n.to_string());
    }
    assert_eq!(xml(&element).matches('=').count(), 50);
}

/// Of the one value as of the many that together are too long.
#[test]
fn attributes_that_readers_choke_on_are_cut_and_say_so() {
    let long = |c: char, count: usize| c.to_string().repeat(count);
    let sign = |count: usize| format!("... (cut: it has {count} characters)");
    // Two of UTF-16 for the last, and one of bytes for the first.
    for (c, most) in [('x', 500_000), ('é', 500_000), ('€', 500_000), ('😀', 250_000)] {
        let units = c.len_utf16();
        let written = xml(&Element::new("a").attribute("v", long(c, most)));
        assert_eq!(written, format!("<a v=\"{}\"/>", long(c, most)));
        let written = xml(&Element::new("a").attribute("v", long(c, most + 1)));
        let kept = format!("{}{}", long(c, most), sign((most + 1) * units));
        assert_eq!(written, format!("<a v=\"{kept}\"/>"));
        assert!(kept.encode_utf16().count() < 524_288);
    }
    let element = Element::new("a")
        .attribute("b", long('b', 300_000))
        .attribute("c", "short")
        .attribute("d", long('d', 200_000))
        .attribute("e", "e")
        .attribute("f", "");
    let d = format!("{}{}", long('d', 199_995), sign(200_000));
    let b = long('b', 300_000);
    assert_eq!(
        xml(&element),
        format!("<a b=\"{b}\" c=\"short\" d=\"{d}\" e=\"{}\" f=\"\"/>", sign(1))
    );
}

#[test]
fn deep_trees_are_cut() {
    let mut element = Element::new("e");
    for _ in 0..500 {
        element = Element::new("e").child(element);
    }
    assert_eq!(xml(&element).matches("<e").count(), MAX_DEPTH + 1);
}

/// Text of which most is special in one way or another.
fn nasty() -> impl Strategy<Value = String> {
    "[\\x00-\\x7F\u{80}-\u{9F}\u{FFFD}-\u{FFFF}\u{2028}ü]{0,12}|(autn:)?[a:9 -]{0,4}|\\PC{0,20}"
}

proptest! {
    #[test]
    fn any_text_comes_back_from_a_reader(text in nasty(), name in nasty()) {
        let xml = xml(&Element::text(name.clone(), text.clone()).attribute("a", text.clone()).attribute(name.clone(), ""));
        let mut reader = quick_xml::Reader::from_str(&xml);
        let expected = legal_text(&text);
        let (mut read, mut open) = (String::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    open = start.name().as_ref().to_owned();
                    let value = start.attributes().next().unwrap().unwrap();
                    let value = value.normalized_value(quick_xml::XmlVersion::Explicit1_0).unwrap().into_owned();
                    prop_assert_eq!(&value, &*expected);
                }
                Event::Text(text) => read.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let name = &*reference;
                    read.push_str(&quick_xml::escape::unescape(&format!("&{name};")).unwrap());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        prop_assert_eq!(&read, &*expected);
        prop_assert_eq!(open, mended_name(&name).into_owned());
    }

    #[test]
    fn a_mended_name_is_legal(name in nasty()) {
        let mended = mended_name(&name).into_owned();
        prop_assert_eq!(&mended_name(&mended), &mended);
        prop_assert!(mended.strip_prefix("autn:").unwrap_or(&mended).chars().next().is_some_and(may_begin_name));
    }
}
