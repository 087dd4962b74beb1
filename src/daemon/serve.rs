//! The RPC over HTTP, and the page: each request passes the gate by its head, and is then answered from the library.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::daemon::gate::{Gate, Refusal, Verdict};
use crate::daemon::library::Library;
use crate::daemon::{page, rpc};
use crate::engine::http::requests::Limits;
use crate::engine::http::response::Response;
use crate::engine::http::server::{Admission, Routes, names_gzip};
use crate::engine::runtime::clock::Clock;
use crate::lock::lock;
use crate::random::entropy;
use crate::wire::http_head::Request;

/// What the server of the RPC allows: the base64 of a `.torrent` of 10 MB fits into a body.
pub(crate) const LIMITS: Limits = Limits {
    connections: 16,
    head: 8192,
    body: 16 << 20,
    request: Duration::from_secs(10),
    idle: Duration::from_secs(120),
};

/// The routes of the RPC.
#[derive(Debug)]
pub(crate) struct RpcRoutes {
    pub(crate) gate: Arc<Mutex<Gate>>,
    pub(crate) library: Library,
    pub(crate) clock: Clock,
}

/// A session id that cannot be guessed: letters and digits alone, as some clients expect.
pub(crate) fn new_session_id() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ab";
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 64)).map_or('a', |letter| char::from(*letter));
    entropy::<48>().iter().map(letter).collect()
}

impl Routes for RpcRoutes {
    type Ticket = ();

    fn admit(&self, request: &Request<'_>, from: Option<IpAddr>) -> Admission<()> {
        match lock(&self.gate).check(request, from, self.clock.now(), new_session_id) {
            Verdict::Rpc => Admission::Taken(()),
            Verdict::Page => {
                Admission::Answered(serve_page(request.fields("accept-encoding").any(names_gzip)))
            }
            Verdict::Redirect(to) => {
                let why = format!("see {to}\n");
                Admission::Answered(safe(Response::text(301, why)).with("Location", to))
            }
            Verdict::Refused(Refusal { status, why, fields }) => {
                let mut response = safe(Response::text(status, format!("{why}\n")));
                response.fields.extend(fields);
                Admission::Answered(response)
            }
        }
    }

    fn answer(&self, (): (), body: Vec<u8>, _: Option<IpAddr>) -> Response {
        let RpcRoutes { library, .. } = self;
        let mut library = library.clone();
        let answer = move |out: &mut dyn std::io::Write| rpc::answer(&body, &mut library, out).map(drop);
        safe(Response::written("application/json; charset=UTF-8", answer))
    }
}

/// The page, packed for those who take that.
fn serve_page(takes_gzip: bool) -> Response {
    let Ok(bytes) = page::bytes(takes_gzip) else {
        return safe(Response::text(500, "the page is damaged\n"));
    };
    let mut response = Response::whole(200, page::MEDIA_TYPE, bytes.into_owned());
    for (name, value) in page::fields() {
        response = response.with(name, value);
    }
    if takes_gzip { response.with("Content-Encoding", "gzip") } else { response }
}

/// An answer that a browser takes for nothing else, and keeps no copy of.
fn safe(response: Response) -> Response {
    response.with("X-Content-Type-Options", "nosniff").with("Cache-Control", "no-store")
}
