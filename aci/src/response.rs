//! The envelope around every reply: `autnresponse` with `action`, `response` and `responsedata`, in this order.
//!
//! Prolog, quotes and the order of the elements are those of real servers (observed); readers that do not parse XML rely on
//! them. The data in `responsedata` is a list of [`Element`]s, or a stream of them through [`ListWriter`].

use super::element::{Element, escape_text};
use super::error::AciError;
use super::json::{
    JsonStyle, LIST_EVEN_IF_EMPTY, write_members, write_string, write_text, write_value,
};
use super::words::shorten;

const PROLOG: &str = "<?xml version='1.0' encoding='UTF-8' ?><autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'>";

/// The form of a reply, the values of the parameter `ResponseFormat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// XML, the default.
    #[default]
    Xml,
    /// JSON in which every element is an object.
    Json,
    /// JSON in which an element that is nothing but text is a string.
    SimpleJson,
}

impl ResponseFormat {
    /// The values of the parameter `ResponseFormat`.
    pub const NAMES: &'static [&'static str] = &["xml", "json", "simplejson"];

    /// Reads the value of `ResponseFormat`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = [("xml", Self::Xml), ("json", Self::Json), ("simplejson", Self::SimpleJson)];
        known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, format)| format)
    }

    /// Returns the content type, to the letter: some clients refuse `text/xml` with a charset (observed).
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml",
            Self::Json | Self::SimpleJson => "application/json",
        }
    }

    const fn json_style(self) -> Option<JsonStyle> {
        match self {
            Self::Xml => None,
            Self::Json => Some(JsonStyle::Full),
            Self::SimpleJson => Some(JsonStyle::Simple),
        }
    }
}

/// Writes the whole reply of an action that succeeded.
#[must_use]
pub fn success(action: &str, data: &[Element], format: ResponseFormat) -> Vec<u8> {
    envelope(action, "SUCCESS", data, format)
}

/// Writes the whole reply of an action that failed; `time_text` is [`super::time::error_time`] of now.
///
/// All six elements are there: clients break without `errorid` or `errortime` (observed).
#[must_use]
pub fn error(action: &str, error: &AciError, time_text: &str, format: ResponseFormat) -> Vec<u8> {
    let data = Element::new("error")
        .child(Element::text("errorid", error.error_id(action)))
        .child(Element::text("rawerrorid", error.raw_id()))
        .child(Element::text("errorstring", error.string))
        .child(Element::text("errordescription", error.description.as_str()))
        .child(Element::text("errorcode", error.code))
        .child(Element::text("errortime", time_text));
    envelope(action, "ERROR", std::slice::from_ref(&data), format)
}

fn envelope(action: &str, response: &str, data: &[Element], format: ResponseFormat) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    open(action, response, format, &mut out);
    match format.json_style() {
        None => data.iter().for_each(|element| element.write_xml(&mut out)),
        Some(style) => write_members("responsedata", data, style, &mut out),
    }
    close(format, &mut out);
    out
}

/// Writes everything before the data.
fn open(action: &str, response: &str, format: ResponseFormat, out: &mut Vec<u8>) {
    // The name is the client's, who may have sent anything.
    let action = shorten(action).to_ascii_uppercase();
    match format.json_style() {
        None => {
            out.extend_from_slice(PROLOG.as_bytes());
            out.extend_from_slice(b"<action>");
            escape_text(&action, out);
            out.extend_from_slice(b"</action><response>");
            out.extend_from_slice(response.as_bytes());
            out.extend_from_slice(b"</response><responsedata>");
        }
        Some(style) => {
            out.extend_from_slice(b"{\"autnresponse\":{\"action\":");
            write_text(&action, style, out);
            out.extend_from_slice(b",\"response\":");
            write_text(response, style, out);
            out.extend_from_slice(b",\"responsedata\":{");
        }
    }
}

fn close(format: ResponseFormat, out: &mut Vec<u8>) {
    out.extend_from_slice(match format {
        ResponseFormat::Xml => b"</responsedata></autnresponse>",
        ResponseFormat::Json | ResponseFormat::SimpleJson => b"}}}",
    });
}

/// Writes a reply that is one long list, item by item, so that the list is never in memory as a whole.
///
/// Byte for byte what [`success`] writes for the same items. The caller sends [`head`](Self::head), then what
/// [`item`](Self::item) appends for each item, then [`tail`](Self::tail), or [`tail_with_error`](Self::tail_with_error).
#[derive(Debug)]
pub struct ListWriter {
    head: Vec<u8>,
    container: Option<&'static str>,
    item_name: &'static str,
    format: ResponseFormat,
    empty: bool,
    warning: Option<String>,
}

impl ListWriter {
    /// Begins a reply `responsedata/actions`, whose items are elements called `action`.
    #[must_use]
    pub fn new(action: &str, format: ResponseFormat) -> Self {
        let (container, item_name) = LIST_EVEN_IF_EMPTY;
        let mut head = Vec::new();
        open(action, "SUCCESS", format, &mut head);
        match format.json_style() {
            // The bracket waits: an empty list is `<actions/>`.
            None => head.extend_from_slice(b"<actions"),
            Some(_) => head.extend_from_slice(b"\"actions\":{\"action\":["),
        }
        Self { head, container: Some(container), item_name, format, empty: true, warning: None }
    }

    /// Begins a reply whose items, elements called `request`, stand directly in `responsedata`.
    #[must_use]
    pub fn requests(action: &str, format: ResponseFormat) -> Self {
        let mut head = Vec::new();
        open(action, "SUCCESS", format, &mut head);
        Self { head, container: None, item_name: "request", format, empty: true, warning: None }
    }

    /// Sets a warning: an element behind the list, beside its container.
    #[must_use]
    pub fn warning(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }

    /// Returns the bytes before the first item.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        self.head.clone()
    }

    /// Appends one item.
    pub fn item(&mut self, element: &Element, out: &mut Vec<u8>) {
        let first = std::mem::replace(&mut self.empty, false);
        let depth = usize::from(self.container.is_some());
        let Some(style) = self.format.json_style() else {
            if first && self.container.is_some() {
                out.push(b'>');
            }
            return element.write_xml_at(depth, out);
        };
        if !first {
            out.push(b',');
        } else if self.container.is_none() {
            write_string(self.item_name, out);
            out.extend_from_slice(b":[");
        }
        write_value(element, style, depth, out);
    }

    /// Returns true as long as no item was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.empty
    }

    /// Returns the bytes after the last item of a list that is not whole: an element `error`, beside the items, and the end.
    #[must_use]
    pub fn tail_with_error(&self, text: &str) -> Vec<u8> {
        let (mut out, error) = (Vec::with_capacity(256), Element::text("error", text));
        match self.format.json_style() {
            None => {
                if self.empty && self.container.is_some() {
                    out.push(b'>');
                }
                error.write_xml_at(usize::from(self.container.is_some()), &mut out);
                if self.container.is_some() {
                    out.extend_from_slice(b"</actions>");
                }
            }
            Some(style) => {
                if self.container.is_some() || !self.empty {
                    out.extend_from_slice(b"],");
                }
                out.extend_from_slice(b"\"error\":");
                write_text(text, style, &mut out);
                if self.container.is_some() {
                    out.push(b'}');
                }
            }
        }
        self.write_warning(true, &mut out);
        close(self.format, &mut out);
        out
    }

    /// Returns the bytes after the last item.
    #[must_use]
    pub fn tail(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(match (self.format.json_style(), self.container, self.empty) {
            (None, Some(_), true) => b"/>".as_slice(),
            (None, Some(_), false) => b"</actions>",
            (None, None, _) | (Some(_), None, true) => b"",
            (Some(_), Some(_), _) => b"]}",
            (Some(_), None, false) => b"]",
        });
        self.write_warning(self.container.is_some() || !self.empty, &mut out);
        close(self.format, &mut out);
        out
    }

    /// Appends the warning, behind a member if there is any.
    fn write_warning(&self, has_members: bool, out: &mut Vec<u8>) {
        let Some(warning) = &self.warning else { return };
        match self.format.json_style() {
            None => Element::text("warning", warning.as_str()).write_xml(out),
            Some(style) => {
                if has_members {
                    out.push(b',');
                }
                out.extend_from_slice(b"\"warning\":");
                write_text(warning, style, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ResponseFormat; 3] =
        [ResponseFormat::Xml, ResponseFormat::Json, ResponseFormat::SimpleJson];

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_token_reply_is_that_of_real_servers() {
        let data = [Element::text("token", "MTAu")];
        let expected = [
            "<?xml version='1.0' encoding='UTF-8' ?><autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>FETCH</action>\
             <response>SUCCESS</response><responsedata><token>MTAu</token></responsedata></autnresponse>",
            r#"{"autnresponse":{"action":{"$":"FETCH"},"response":{"$":"SUCCESS"},"responsedata":{"token":{"$":"MTAu"}}}}"#,
            r#"{"autnresponse":{"action":"FETCH","response":"SUCCESS","responsedata":{"token":"MTAu"}}}"#,
        ];
        for (format, expected) in ALL.into_iter().zip(expected) {
            assert_eq!(text(success("fetch", &data, format)), expected);
        }
    }

    #[test]
    fn an_error_reply_has_all_six_elements() {
        let wrong = AciError::unknown_action("wobble");
        let xml = text(error("wobble", &wrong, "06 Feb 06 17:03:54", ResponseFormat::Xml));
        assert!(xml.contains(
            "<action>WOBBLE</action><response>ERROR</response><responsedata><error><errorid>ACTIONDWOBBLE1</errorid>\
             <rawerrorid>0x1</rawerrorid><errorstring>ERROR</errorstring><errordescription>The requested action was not recognised"
        ));
        assert!(xml.ends_with(
            "<errorcode>ERRORNOTIMPLEMENTED</errorcode><errortime>06 Feb 06 17:03:54</errortime></error></responsedata></autnresponse>"
        ));
        let json = text(error("wobble", &wrong, "06 Feb 06 17:03:54", ResponseFormat::SimpleJson));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["autnresponse"]["responsedata"]["error"]["errorid"], "ACTIONDWOBBLE1");
    }

    #[test]
    fn the_action_s_name_is_escaped_and_cut() {
        let name = format!("<a\u{1}\"{}", "x".repeat(1000));
        let xml = text(success(&name, &[], ResponseFormat::Xml));
        assert!(xml.contains("<action>&lt;A\u{FFFD}\"XX") && xml.len() < 400);
        for format in [ResponseFormat::Json, ResponseFormat::SimpleJson] {
            let json = text(success(&name, &[], format));
            assert!(
                json.contains("\"<A\u{FFFD}\\\"XX") && json.ends_with(",\"responsedata\":{}}}"),
                "{json}"
            );
        }
    }

    #[test]
    fn a_streamed_list_is_the_same_as_a_whole_one() {
        for format in ALL {
            for count in [0, 1, 3] {
                let item = |name: &'static str, n: usize| {
                    Element::new(name).child(Element::text("status", format!("S{n}")))
                };
                let actions: Vec<_> = (0..count).map(|n| item("action", n)).collect();
                let requests: Vec<_> = (0..count).map(|n| item("request", n)).collect();
                let whole = [
                    success(
                        "QueueInfo",
                        &[Element::new("actions").children(actions.clone())],
                        format,
                    ),
                    success("QueueInfo", &requests, format),
                ];
                let writers = [
                    ListWriter::new("QueueInfo", format),
                    ListWriter::requests("QueueInfo", format),
                ];
                for ((mut writer, items), whole) in
                    writers.into_iter().zip([actions, requests]).zip(whole)
                {
                    let mut out = writer.head();
                    items.iter().for_each(|item| writer.item(item, &mut out));
                    out.extend(writer.tail());
                    assert_eq!(text(out), text(whole));
                }
            }
        }
    }

    #[test]
    fn a_list_that_is_not_whole_ends_with_an_error_beside_its_items() {
        const TEXT: &str = "some are <missing>";
        for format in ALL {
            for count in [0, 2] {
                let items = |name: &'static str| -> Vec<_> {
                    let error = Element::text("error", TEXT);
                    (0..count)
                        .map(|n| Element::new(name).child(Element::text("n", n.to_string())))
                        .chain([error])
                        .collect()
                };
                let streamed = |mut writer: ListWriter, items: &[Element]| {
                    let mut out = writer.head();
                    items.iter().take(count).for_each(|item| writer.item(item, &mut out));
                    assert_eq!(writer.is_empty(), count == 0);
                    out.extend(writer.tail_with_error(TEXT));
                    text(out)
                };
                let requests = items("request");
                let writer = ListWriter::requests("QueueInfo", format);
                let whole = text(success("QueueInfo", &requests, format));
                assert_eq!(streamed(writer, &requests), whole);
                let actions = items("action");
                let writer = ListWriter::new("QueueInfo", format);
                let list = streamed(writer, &actions);
                if count == 0 && format != ResponseFormat::Xml {
                    // The array is there, as in each list.
                    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
                    let actions = &list["autnresponse"]["responsedata"]["actions"];
                    assert_eq!(actions["action"], serde_json::json!([]));
                    assert!(actions["error"].to_string().contains(TEXT), "{list}");
                } else {
                    let actions = Element::new("actions").children(actions);
                    assert_eq!(list, text(success("QueueInfo", &[actions], format)));
                }
            }
        }
    }

    #[test]
    fn a_warning_stands_behind_the_list() {
        for format in ALL {
            for count in [0, 2] {
                let item = || Element::new("action").child(Element::text("n", "1"));
                let warning = || Element::text("warning", "no <such> filter");
                let streamed = |mut writer: ListWriter, items: Vec<Element>| {
                    let mut out = writer.head();
                    items.iter().for_each(|item| writer.item(item, &mut out));
                    out.extend(writer.tail());
                    text(out)
                };
                let warned = |writer: ListWriter| writer.warning(Some("no <such> filter".into()));
                let items: Vec<_> = (0..count).map(|_| item()).collect();
                let writer = warned(ListWriter::new("QueueInfo", format));
                let actions = Element::new("actions").children(items.clone());
                let whole = success("QueueInfo", &[actions, warning()], format);
                assert_eq!(streamed(writer, items), text(whole));
                let requests: Vec<_> =
                    (0..count).map(|_| Element { name: "request".into(), ..item() }).collect();
                let writer = warned(ListWriter::requests("QueueInfo", format));
                let mut all = requests.clone();
                all.push(warning());
                assert_eq!(streamed(writer, requests), text(success("QueueInfo", &all, format)));
                let broken = warned(ListWriter::new("QueueInfo", format)).tail_with_error("lost");
                let broken = text(broken);
                let end = broken.find("no ").unwrap();
                assert!(broken.find("lost").unwrap() < end, "{broken}");
            }
        }
    }

    #[test]
    fn a_streamed_item_is_cut_where_a_whole_one_is() {
        let mut deep = Element::new("e");
        for _ in 0..300 {
            deep = Element::new("e").child(deep);
        }
        let item = Element::new("action").child(deep);
        for format in ALL {
            let mut writer = ListWriter::new("QueueInfo", format);
            let mut out = writer.head();
            writer.item(&item, &mut out);
            out.extend(writer.tail());
            assert_eq!(
                text(out),
                text(success("QueueInfo", &[Element::new("actions").child(item.clone())], format))
            );
        }
    }

    #[test]
    fn formats_are_read_in_any_case() {
        for (name, format) in ResponseFormat::NAMES.iter().zip(ALL) {
            assert_eq!(ResponseFormat::parse(&name.to_uppercase()), Some(format));
        }
        assert_eq!(ResponseFormat::parse("yaml"), None);
        assert_eq!(ResponseFormat::Xml.content_type(), "text/xml");
        assert_eq!(ResponseFormat::SimpleJson.content_type(), "application/json");
    }
}
