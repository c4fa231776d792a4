//! What the strict reader lets through, and what it refuses.

use proptest::prelude::*;

use quick_xml::escape;

use super::xml::*;

fn read(text: &str) -> Result<Vec<Piece>, ParseError> {
    let mut reader = StrictReader::new(text)?;
    let mut all = Vec::new();
    loop {
        match reader.next()? {
            Piece::Done => return Ok(all),
            piece => all.push(piece),
        }
    }
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_place() {
    let deep = "<a>".repeat(MAX_DEPTH + 1);
    let many: String = (0..=MAX_ATTRIBUTES).map(|i| format!(" a{i}=''")).collect();
    for (text, line, column, what) in [
        ("", 1, 1, "no root element"),
        (" \n ", 2, 2, "no root element"),
        ("<!-- only -->", 1, 14, "no root element"),
        ("<a>\n <b>\n</a>", 3, 1, "expected `</b>`, but `</a>`"),
        ("<a>", 1, 4, "element a, opened at line 1, column 1, is not closed"),
        ("<a><b/>\n  <é>", 2, 6, "element é, opened at line 2, column 3, is not closed"),
        ("</a>", 1, 1, "does not match any open tag"),
        ("<a/><b/>", 1, 5, "second root element, b"),
        ("<a/> x", 1, 6, "text stands outside"),
        ("x<a/>", 1, 1, "text stands outside"),
        ("<a/><![CDATA[x]]>", 1, 5, "CDATA section stands outside"),
        ("<a/>&amp;", 1, 5, "reference stands outside"),
        ("<!DOCTYPE a><a/>", 1, 1, "DOCTYPE"),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", 1, 1, "DOCTYPE"),
        ("<a>&b;</a>", 1, 4, "entity &b; is not allowed"),
        ("<a>&#0;</a>", 1, 4, "no character"),
        ("<a>&#x1;</a>", 1, 4, "U+0001 is not allowed"),
        ("<a>&#xD800;</a>", 1, 4, "no character"),
        ("<a>&#xFFFFFFFFFF;</a>", 1, 4, "no character"),
        ("<a>\n\u{1}</a>", 2, 1, "U+0001 is not allowed"),
        ("<a>\u{FFFF}</a>", 1, 4, "U+FFFF is not allowed"),
        ("<a>& </a>", 1, 4, ""),
        ("<a>]]></a>", 1, 4, "]]&gt;"),
        ("<a b='1' b='2'/>", 1, 3, "given twice"),
        ("<a b='1'c='2'/>", 1, 9, "white space is missing"),
        ("<a b=1/>", 1, 3, "not in quotes"),
        ("<a b/>", 1, 3, "no \"=\""),
        ("<a b='<'/>", 1, 4, "must not stand in the value of b"),
        ("<a b='&c;'/>", 1, 4, "entity &c; is not allowed"),
        ("<a b='&#1;'/>", 1, 4, "U+0001 is not allowed"),
        ("<a b='&'/>", 1, 4, "\"&\" is not followed"),
        ("<a 1b='c'/>", 1, 4, "no name for an attribute"),
        ("<a b='c", 1, 1, "not closed"),
        ("<1/>", 1, 1, "no name for an element"),
        ("< a/>", 1, 1, "no name for an element"),
        ("<a/ >", 1, 1, "no name for an element"),
        ("<a><!-- -- --></a>", 1, 9, "`--`"),
        ("<a><!-- ", 1, 4, "comment not closed"),
        (" <?xml version='1.0'?><a/>", 1, 2, "at the very start"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", 1, 1, "send UTF-8"),
        ("<?xml encoding='UTF-8'?><a/>", 1, 1, "version"),
        ("<?xml version='2.0'?><a/>", 1, 1, "version"),
        ("<?xml version='1.0' standalone='maybe'?><a/>", 1, 1, "version, encoding and standalone"),
        ("<?xml version='1.0' standalone='no' encoding='utf-8'?><a/>", 1, 1, "standalone"),
        ("<?xml version='1.0' encodin='latin1'?><a/>", 1, 1, "version, encoding and standalone"),
        ("<?xml version='1.0' encodin$='latin1'?><a/>", 1, 21, "no name for an attribute"),
        ("<?xml version='1.0'encoding='utf-8'?><a/>", 1, 20, "white space is missing"),
        ("<?XML x?><a/>", 1, 1, "no name for an instruction"),
        (&deep, 1, 3 * MAX_DEPTH + 1, "deeper than 64"),
        (&format!("<a{many}/>"), 1, 3 + " a00=''".len() * 64 - 10 + 1, "more than 64 attributes"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.message.contains(what), "{text}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
    }
}

#[test]
fn errors_repeat_little_of_a_long_text() {
    let long = "é".repeat(5000);
    for text in [
        format!("<{long}></{long}x>"),
        format!("<a></{long}>"),
        format!("</{long}>"),
        format!("<{long}/><{long}/>"),
        format!("<{long}>"),
        format!("<a {long}='<'/>"),
        format!("<a {long}/>"),
        format!("<a {long}='&{long};'/>"),
        format!("<a>&{long};</a>"),
        format!("<?!{long}?><a/>"),
        format!("<?xml version='1.0' encoding='{long}'?><a/>"),
    ] {
        let error = read(&text).expect_err("not well-formed");
        assert!(error.message.chars().count() < 400, "{error}");
    }
}

#[test]
fn text_and_attributes_are_unescaped() {
    let text = "\u{FEFF}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n<!-- c --><?pi d?>\n\
                <a b='&lt;&amp;&#10;x\r\n\ty' c=\"'\">\r\n&gt;&#x41;<![CDATA[<&]]></a>\n<!-- e -->";
    let Ok(pieces) = read(text) else { panic!("{:?}", read(text)) };
    let Some(Piece::Start(tag)) = pieces.first() else { panic!("{pieces:?}") };
    assert_eq!(tag.attribute("b"), Some("<&\nx  y"));
    assert_eq!(tag.attribute("c"), Some("'"));
    assert_eq!(tag.attribute("d"), None);
    let read: String =
        pieces.iter().map(|p| if let Piece::Text(t) = p { t.as_str() } else { "" }).collect();
    assert_eq!(read, "\n>A<&");
    assert_eq!(pieces.last(), Some(&Piece::End));
}

#[test]
fn values_may_hold_any_number_of_references() {
    let text = format!("<a b='{}'/>", "&amp;".repeat(10_000));
    let Ok(pieces) = read(&text) else { panic!("{:?}", read(&text)) };
    let Some(Piece::Start(tag)) = pieces.first() else { panic!("{pieces:?}") };
    assert_eq!(tag.attribute("b"), Some("&".repeat(10_000).as_str()));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(<|>|/|a|b|=|'|\"|&|;|#|x|!|-|\\[|CDATA|\\]|\\?|xml| |\n|é|\u{1})*") {
        if let Err(error) = read(&text) {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }

    #[test]
    fn what_is_escaped_comes_back(value in any::<String>()) {
        let value: String = value.chars().filter(|&c| is_xml_char(c) && c != '\r' && c != '\n' && c != '\t').collect();
        let text = format!("<a b=\"{0}\">{0}</a>", escape::escape(value.as_str()));
        let pieces = read(&text).unwrap();
        let Some(Piece::Start(tag)) = pieces.first() else { panic!("{pieces:?}") };
        prop_assert_eq!(tag.attribute("b"), Some(value.as_str()));
        let inside: String = pieces.iter().map(|p| if let Piece::Text(t) = p { t.as_str() } else { "" }).collect();
        prop_assert_eq!(inside, value);
    }
}
