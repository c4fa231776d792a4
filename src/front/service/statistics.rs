//! The figures of the server as the service port shows them (source: the page about `GetStatistics`, for the form).

use super::super::dispatch::Call;
use super::{SUCCESS, reply_of_markup};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::metrics::{Counted, Statistic, statistics};

pub(super) async fn get_statistics(call: &mut Call<'_>, action: &str) -> Result<String, AciError> {
    call.reserve_memory(Counted::expected(call.endpoint.system())).await?;
    let inner = &call.endpoint.inner;
    let figures = statistics(call.endpoint.counted(), &inner.system, inner.began).await;
    let mut data = b"\n".to_vec();
    for Statistic { class, of, name, unit, value } in figures {
        Element::new("autn:stat")
            .attribute("class", class)
            .attribute("autnid", of)
            .attribute("name", name)
            .attribute("metric", unit.number())
            .attribute("value", value)
            .write_xml(&mut data);
        data.push(b'\n');
    }
    Ok(reply_of_markup(action, SUCCESS, &data))
}
