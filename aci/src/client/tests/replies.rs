//! What is read of replies, whatever server wrote them.

use proptest::prelude::*;

use super::super::{Fault, Reply};
use crate::element::{Element, MAX_DEPTH};
use crate::response::{ResponseFormat, success};

fn read(data: &str) -> Result<Vec<Element>, Fault> {
    let text = format!(
        "<autnresponse><action>X</action><response>SUCCESS</response><responsedata>{data}</responsedata></autnresponse>"
    );
    Reply::read(&text).map(|reply| reply.data)
}

#[test]
fn what_is_odd_is_read_and_what_is_broken_is_not() {
    let e = Element::new;
    let t = |name: &'static str, text: &str| Element::text(name, text);
    for (data, expected) in [
        ("", vec![]),
        ("<a/>", vec![e("a")]),
        ("<a></a>", vec![e("a")]),
        ("<a>&lt;&#65;&#x42;&quot;<![CDATA[<&>]]></a>", vec![t("a", "<AB\"<&>")]),
        ("<a> x\r\ny </a>", vec![t("a", " x\ny ")]),
        ("<a>\n  <b>1</b>\n  <b>2</b>\n</a>", vec![e("a").child(t("b", "1")).child(t("b", "2"))]),
        ("<a>lost<b/></a>", vec![e("a").child(e("b"))]),
        ("<a x='1' y=\"&amp;&#10;\"/>", vec![e("a").attribute("x", "1").attribute("y", "&\n")]),
        ("<autn:pid>7</autn:pid><!-- x --><?y?>", vec![t("autn:pid", "7")]),
    ] {
        assert_eq!(read(data).unwrap(), expected, "{data}");
    }
    for data in [
        "<a>",
        "</a>",
        "<a><b></a></b>",
        "<a x=1/>",
        "<a x='1' x='2'/>",
        "&unknown;",
        "<a>&#0;</a>",
    ] {
        assert!(matches!(read(data), Err(Fault::NotAci(_))), "{data}");
    }
}

#[test]
fn the_envelope_is_that_of_aci() {
    for good in [
        "<autnresponse><response>SUCCESS</response></autnresponse>",
        "\u{FEFF}<?xml version='1.0'?>\r\n<autnresponse><response> success </response><responsedata/></autnresponse>\n",
        "<AUTNRESPONSE><Response>SUCCESS</Response></AUTNRESPONSE>",
    ] {
        assert_eq!(Reply::read(good).unwrap().data, [], "{good}");
    }
    for bad in [
        "",
        "<html><body>502 Bad Gateway</body></html>",
        "<response>SUCCESS</response>",
        "<autnresponse/>",
        "<autnresponse><responsedata><response>SUCCESS</response></responsedata></autnresponse>",
        "<autnresponse><response>MAYBE</response></autnresponse>",
        "<autnresponse><response>SUCCESS</response></autnresponse>x",
        "<autnresponse><response>SUCCESS</response></autnresponse><b/>",
        "<autnresponse><response>SUCCESS</response>",
    ] {
        assert!(matches!(Reply::read(bad), Err(Fault::NotAci(_))), "{bad}");
    }
    let bare = "<autnresponse><response>ERROR</response><error><errorstring>no</errorstring></error></autnresponse>";
    assert_eq!(Reply::read(bare).unwrap_err().to_string(), "no");
}

#[test]
fn depth_has_an_end() {
    let nested = |depth: usize| read(&format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)));
    assert!(nested(MAX_DEPTH + 1).is_ok());
    assert!(matches!(nested(MAX_DEPTH + 2), Err(Fault::NotAci(_))));
    assert!(nested(1_000_000).is_err());
}

fn trees() -> impl Strategy<Value = Vec<Element>> {
    let name = "[a-c]{1,2}";
    let text = "[ -~\n\t\r\u{e9}\u{1F600}]{1,8}";
    let leaf = (name, text).prop_map(|(name, text)| Element::text(name, text));
    let tree = leaf.prop_recursive(4, 20, 4, move |inner| {
        let attributes = proptest::collection::btree_map("[a-c]", text, 0..2);
        (name, attributes, proptest::collection::vec(inner, 0..4)).prop_map(
            |(name, attributes, children)| {
                let element = Element::new(name).children(children);
                attributes
                    .into_iter()
                    .fold(element, |element, (name, value)| element.attribute(name, value))
            },
        )
    });
    proptest::collection::vec(tree, 0..4)
}

proptest! {
    #[test]
    fn what_our_servers_write_is_read_back(data in trees()) {
        let xml = String::from_utf8(success("try", &data, ResponseFormat::Xml)).unwrap();
        prop_assert_eq!(Reply::read(&xml), Ok(Reply { action: "TRY".to_owned(), data }));
    }

    #[test]
    fn no_reply_makes_it_panic(text in "\\PC{0,60}|[<>/a&;'=!\\[\\]-]{0,60}") {
        let _ = Reply::read(&text);
        let _ = read(&text);
    }
}
