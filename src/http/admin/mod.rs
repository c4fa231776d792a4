//! The routes of the admin page: limits, keys, certificates and the policy for web pages hold as for actions; a cookie keeps who has
//! signed in. What pages show: [`crate::admin`].
//!
//! | module | contents |
//! |---|---|
//! | here | the routes, and the way of a request |
//! | `cookies` | what a browser keeps for it |
//! | `response` | answers as HTTP responses |

mod cookies;
mod response;

use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::connection::Connection;
use super::memory::Reservation;
use super::{Service, body, caller, events, statuses, text_of};
use crate::access::KeyHash;
use crate::aci::error::AciError;
use crate::aci::request::{Pairs, RawRequest, parse, parse_query};
use crate::admin::{AdminPage, Answer, Asker, PageRequest, Session, answer, assets};
use crate::front::{Caller, Credential, Endpoint, Port};
use crate::metrics::Reason;
pub(super) use cookies::session;

/// The header of requests for a part of a page, as htmx has it.
static HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");

/// The path below the endpoint's.
const PATH: &str = "/admin";

/// Path that no page has.
const NOWHERE: &str = "?";

/// The field of a form that shows that the form is ours.
const FORM_TOKEN: &str = "form-token";

/// Mounts the page on the port for actions, if the endpoint has it.
pub(super) fn route(
    endpoint: &Endpoint,
    port: Port,
) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let has_page = port == Port::Aci && endpoint.admin_page().is_some();
    move |config| {
        if has_page {
            let scope = web::scope(PATH)
                .service(web::resource("/assets/{file}").to(asset))
                .configure(events::below)
                .service(web::resource(["", "/", "/{page}"]).to(page))
                .default_service(web::to(nowhere));
            config.service(scope);
        }
    }
}

/// Sends a file that pages need. It has no secrets, so everybody may have it.
async fn asset(request: HttpRequest) -> HttpResponse {
    let found = request.match_info().get("file").and_then(assets::find);
    let Some(asset) = found else { return HttpResponse::NotFound().finish() };
    let mut response = HttpResponse::Ok();
    // Its address has the version.
    response.insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"));
    response.insert_header((ETAG, format!("\"{}\"", assets::version())));
    response::protect(&mut response);
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(asset.content_type)));
    response::with_body(&request, response, asset.bytes.to_vec())
}

async fn page(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
) -> HttpResponse {
    let path = request.match_info().get("page").unwrap_or_default().to_owned();
    shown(&request, payload, &service, path).await
}

async fn nowhere(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
) -> HttpResponse {
    shown(&request, payload, &service, NOWHERE.to_owned()).await
}

/// The request of a form that was not taken.
enum NotTaken {
    /// Its body.
    Body(AciError),
    /// It is of no page of this session.
    Foreign,
}

async fn shown(
    request: &HttpRequest,
    payload: web::Payload,
    service: &Service,
    path: String,
) -> HttpResponse {
    let endpoint = &service.endpoint;
    let Some(admin) = endpoint.admin_page() else {
        // The route is not there without it.
        return HttpResponse::NotFound().finish();
    };
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    if let Err(refused) = statuses::let_in(request, service, connection.as_deref()) {
        let (refused, error) = *refused;
        return response::said(refused, &error);
    }
    let is_form = *request.method() == Method::POST;
    if !is_form && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let (refused, error) = statuses::no_method(endpoint, request.method(), "GET, HEAD, POST");
        return response::said(refused, &error);
    }
    let mut caller = statuses::sender_in_time(request, endpoint).await;
    let now = endpoint.now_ms().div_euclid(1_000);
    let Some((session, is_fresh)) = Session::go_on(session(request, endpoint), now) else {
        let error = AciError::unavailable("the system has no random numbers");
        return response::said(HttpResponse::ServiceUnavailable(), &error);
    };
    // Held until the answer: the parts of the body are in use until then.
    let mut memory = Reservation::of(service.current.uploads(endpoint));
    let form = match is_form {
        false => None,
        true => {
            let read = body::read(request, payload, endpoint, &mut memory, connection.as_ref());
            match form(request, read.await, admin, &session, endpoint) {
                Ok(form) => Some(form),
                Err(NotTaken::Body(error)) => {
                    statuses::count(endpoint, Reason::Invalid);
                    let mut refused = HttpResponse::BadRequest();
                    refused.force_close();
                    return response::said(refused, &error);
                }
                Err(NotTaken::Foreign) => {
                    statuses::count(endpoint, Reason::WebPage);
                    let why = "this form is of another session, or has ended. Load its page again.";
                    return response::said(HttpResponse::Forbidden(), &AciError::permission(why));
                }
            }
        }
    };
    let mut is_key_known = false;
    if let Some(key) =
        form.as_ref().and_then(|form| form.given("key")).filter(|_| path == "sign-in")
    {
        caller = with_key(caller, KeyHash::of(key.trim()));
        is_key_known = !endpoint.access().is_wrong_key(&caller);
        if !is_key_known {
            log::warn!("a request {caller}, which is not known here, wanted to sign in");
            caller::delay_wrong_key().await;
        }
    }
    let base = format!("{}{PATH}", endpoint.base_path());
    let said = cookies::said(request, endpoint);
    let has_said = said.is_some();
    let client = connection.as_deref().map(Connection::client).unwrap_or_default();
    let asked = PageRequest {
        queues: endpoint.visible_queues(&endpoint.access(), &caller),
        asker: Asker::new(service.front.clone(), caller, client),
        path,
        query: parse_query(request.uri().query().unwrap_or_default()).unwrap_or_default(),
        form,
        form_token: admin.signing.form_token(&session),
        has_keys: endpoint.access().has_keys(),
        is_key_known,
        server: address(request, endpoint),
        said,
        session,
        base,
    };
    let answer = answer(&asked).await;
    // A part of a page says nothing.
    let shows_said =
        matches!(answer, Answer::Page { .. }) && text_of(request, &HX_REQUEST).is_none();
    let mut response = response::of(request, endpoint, admin, &asked, answer, is_fresh);
    if has_said && shows_said {
        cookies::forget_said(&mut response, request, endpoint, &asked.base);
    }
    response
}

fn with_key(caller: Caller, key: KeyHash) -> Caller {
    let mut caller = caller;
    caller.credential = Some(Credential::Key(key));
    caller
}

/// Reads a form, which must carry the token of its session.
fn form(
    request: &HttpRequest,
    body: Result<bytes::Bytes, AciError>,
    admin: &AdminPage,
    session: &Session,
    endpoint: &Endpoint,
) -> Result<Pairs, NotTaken> {
    let body = body.map_err(NotTaken::Body)?;
    let raw = RawRequest {
        target: "/action=admin",
        content_type: text_of(request, &CONTENT_TYPE),
        body: &body,
        max_input_string: usize::MAX,
        max_upload: endpoint.max_file_upload_size(),
    };
    let form = parse(&raw).map_err(|rejected| NotTaken::Body(*rejected.error))?.pairs;
    let token = form.given(FORM_TOKEN).unwrap_or_default();
    if admin.signing.is_form_token(session, token) { Ok(form) } else { Err(NotTaken::Foreign) }
}

/// Returns the address of the endpoint as the browser knows it.
fn address(request: &HttpRequest, endpoint: &Endpoint) -> String {
    let info = request.connection_info();
    format!("{}://{}{}", info.scheme(), info.host(), endpoint.base_path())
}
