//! What is counted, and the form that a client gets.

use super::*;

#[test]
fn the_form_is_what_the_client_likes_best() {
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let table = [
        (None, Format::Text),
        (Some(""), Format::Text),
        (Some("*/*"), Format::Text),
        (Some("text/html"), Format::Text),
        (Some("text/plain;version=0.0.4"), Format::Text),
        (Some(prometheus), Format::OpenMetrics),
        (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
        (Some("application/openmetrics-text; q=0"), Format::Text),
        (Some("application/openmetrics-text;q=0.5, text/plain"), Format::Text),
        (Some("text/plain;q=0.5, application/openmetrics-text;q=0.5"), Format::OpenMetrics),
        (
            Some("application/openmetrics-text;q=0.2, application/openmetrics-text"),
            Format::OpenMetrics,
        ),
    ];
    for (accept, format) in table {
        assert_eq!(Format::accepted(accept), format, "{accept:?}");
    }
}
