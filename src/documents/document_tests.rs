//! Texts that are documents, and texts that are refused.

use proptest::prelude::*;

use super::document::{Document, DocumentKind, DocumentSource, Documents};
use super::xml::ParseError;

fn read(text: &str) -> Result<Vec<Document>, ParseError> {
    Documents::new(text)?.collect()
}

fn one(inside: &str) -> Document {
    let mut all = read(&format!("<adds><add>{inside}</add></adds>")).unwrap();
    assert_eq!(all.len(), 1, "{inside}");
    all.remove(0)
}

fn fields(document: &Document) -> Vec<(&str, &str)> {
    document.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

#[test]
fn a_whole_document_is_read() {
    let document = one("<document>
           <reference> http://www.example.com/?a=1&amp;b=2 </reference>
           <reference>second</reference>
           <metadata name=\"Field1\" value=\"a &lt; b\"/>
           <metadata name='Field2' value=''></metadata>
           <unknown><reference>not mine</reference></unknown>
           <xmlmetadata>
             <A>v</A>
             <B kind='k'>mixed<C> w </C><D/></B>
           </xmlmetadata>
           <pages content=\"Page 1&#10;text\"/><pages content='two'/>
         </document>
         <source filename=\"My File.doc\" lifetime=\"temporary\"/>");
    assert_eq!(document.kind, DocumentKind::Add);
    assert_eq!(document.reference, "http://www.example.com/?a=1&b=2");
    assert_eq!(
        fields(&document),
        [
            ("Reference", "second"),
            ("Field1", "a < b"),
            ("Field2", ""),
            ("A", "v"),
            ("B/@kind", "k"),
            ("B/C", " w "),
            ("B/D", ""),
            ("B", "mixed"),
        ]
    );
    assert_eq!(document.pages, ["Page 1\ntext", "two"]);
    assert_eq!(
        document.source,
        Some(DocumentSource::File { path: "My File.doc".into(), temporary: true })
    );
}

#[test]
fn sources_are_files_or_bytes() {
    for (source, expected) in [
        ("filename='/a'", DocumentSource::File { path: "/a".into(), temporary: false }),
        (
            "filename='/a' lifetime='permanent'",
            DocumentSource::File { path: "/a".into(), temporary: false },
        ),
        (
            "filename='bytes:/a%0Ab%25'",
            DocumentSource::File { path: "/a\nb%".into(), temporary: false },
        ),
        ("content='aGVs\n bG8='", DocumentSource::Content(b"hello".to_vec())),
        ("content=''", DocumentSource::Content(Vec::new())),
    ] {
        let document = one(&format!("<reference>r</reference><source {source}/>"));
        assert_eq!(document.source, Some(expected), "{source}");
    }
}

#[test]
fn each_root_gives_its_documents() {
    use DocumentKind::{Add, Update};
    for (text, expected) in [
        ("<adds/>", &[][..]),
        ("<updates> </updates>", &[]),
        ("<adds><add><reference>a</reference></add></adds>", &[(Add, "a")]),
        ("<add><document><reference>a</reference></document></add>", &[(Add, "a")]),
        ("<update><reference>a</reference></update>", &[(Update, "a")]),
        (
            "<updates><x/><update><reference>a</reference></update>t<update><document>\
             <reference><![CDATA[b]]></reference></document></update></updates>",
            &[(Update, "a"), (Update, "b")],
        ),
    ] {
        let all = read(text).unwrap();
        let all: Vec<_> = all.iter().map(|d| (d.kind, d.reference.as_str())).collect();
        assert_eq!(all, expected, "{text}");
    }
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    for (text, line, column, what) in [
        ("<removes/>", 1, 1, "root element \"removes\" is not allowed; allowed are adds, updates"),
        ("<adds>\n  <add/>\n</adds>", 2, 3, "add has no reference"),
        ("<adds><add><document/></add></adds>", 1, 7, "add has no reference"),
        ("<updates><update/></updates>", 1, 10, "update has no reference"),
        ("<add><reference> </reference></add>", 1, 6, "a reference is empty"),
        ("<add><metadata value='v'/></add>", 1, 6, "metadata has no name"),
        ("<add><metadata name='' value='v'/></add>", 1, 6, "metadata has no name"),
        ("<add><metadata name='n'/></add>", 1, 6, "metadata has no value"),
        ("<add><pages/></add>", 1, 6, "pages has no content"),
        ("<add><source/></add>", 1, 6, "either filename or content"),
        ("<add><source filename='a' content=''/></add>", 1, 6, "either filename or content"),
        ("<add><source filename=''/></add>", 1, 6, "source has no filename"),
        ("<add><source content='*'/></add>", 1, 6, "not base64"),
        (
            "<add><source filename='a' lifetime='brief'/></add>",
            1,
            6,
            "allowed are permanent, temporary",
        ),
        ("<add><source filename='a'/><source filename='b'/></add>", 1, 28, "two sources"),
        ("<add><document/><document/></add>", 1, 17, "a second document"),
        ("<add><reference>a</reference></add><add/>", 1, 36, "second root element"),
        (
            "<adds><add><reference>a</reference></add>\n",
            2,
            1,
            "adds, opened at line 1, column 1, is not closed",
        ),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.message.contains(what), "{text}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
    }
}

#[test]
fn after_an_error_there_is_nothing_more() {
    let mut documents =
        Documents::new("<adds><add/><add><reference>a</reference></add></adds>").unwrap();
    assert!(matches!(documents.next(), Some(Err(_))));
    assert_eq!(documents.next(), None);
}

#[test]
fn a_small_text_cannot_grow_into_much() {
    let name = "n".repeat(2_000);
    let leaves = "<a/>".repeat(20_000);
    let text = format!(
        "<add><reference>r</reference><xmlmetadata><{name}>{leaves}</{name}></xmlmetadata></add>"
    );
    let error = read(&text).unwrap_err();
    assert!(error.message.contains("too long in all"), "{error}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "(<add>|</add>|<adds>|</adds>|<reference>a</reference>|<pages content=''/>|<xmlmetadata>|</xmlmetadata>|<source |content='|'/>|<|>|é| )*"
    ) {
        let _ = read(&text);
    }
}
