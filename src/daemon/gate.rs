//! Who may ask the daemon: the checks of a request by its head alone, in an order that matters. A stranger
//! without the password learns neither the session id nor what there is.
//!
//! Pure: time and what is random come as arguments. Never reads a body, never answers a question.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::moment::Moment;
use crate::network::host;
use crate::wire::http_head::Request;

/// How long a session id is good.
const SESSION_ID_DURATION: Duration = Duration::from_secs(3600);

/// Wrong passwords of one address after which it has to wait.
const FREE_GUESSES: u32 = 5;

/// The longest wait after a wrong password.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Addresses whose wrong passwords are remembered.
const MAX_GUESSERS: usize = 1024;

/// The header of the session id.
pub const SESSION_ID: &str = "X-Transmission-Session-Id";

/// Who may ask, as the configuration says.
#[derive(Debug, Clone, Default)]
pub struct GateConfig {
    /// What all paths begin with, `/transmission/`.
    pub base: String,
    /// What follows `Basic` in a good `Authorization`; no password is asked for if `None`.
    pub credentials: Option<String>,
    /// Patterns of addresses that may ask, such as `192.168.*.*`; empty for all.
    pub addresses: Vec<String>,
    /// Names, or patterns of names, by which a browser may call the daemon, besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// What a request is for, or why it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A request to the RPC, to be answered when its body has come.
    Rpc,
    /// A request for the page.
    Page,
    /// It is to ask somewhere else.
    Redirect(String),
    /// It is refused.
    Refused(Refusal),
}

/// An answer that refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Why, and what to do, in one line.
    pub why: String,
    /// Further fields of the head.
    pub fields: Vec<(&'static str, String)>,
}

/// The checks and what they remember.
#[derive(Debug)]
pub struct Gate {
    config: GateConfig,
    session_id: String,
    /// Until when the session id is good.
    good_until: Moment,
    guessers: HashMap<IpAddr, Guesser>,
}

/// An address that sent wrong passwords.
#[derive(Debug, Clone, Copy)]
struct Guesser {
    wrong: u32,
    /// Until when it is not listened to.
    until: Moment,
}

impl Gate {
    /// A gate with this first session id: 48 letters and digits that cannot be guessed.
    pub fn new(config: GateConfig, session_id: String, now: Moment) -> Gate {
        Gate { config, session_id, good_until: now + SESSION_ID_DURATION, guessers: HashMap::new() }
    }

    /// The session id.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Decides about a request from this address, or over a Unix socket, whose mode says who may ask. Where the
    /// session id is too old, `renew` makes the next.
    pub fn check(
        &mut self,
        request: &Request<'_>,
        from: Option<IpAddr>,
        now: Moment,
        renew: impl FnOnce() -> String,
    ) -> Verdict {
        if now >= self.good_until {
            (self.session_id, self.good_until) = (renew(), now + SESSION_ID_DURATION);
        }
        match self.admit(request, from, now) {
            Ok(verdict) => verdict,
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn admit(
        &mut self,
        request: &Request<'_>,
        from: Option<IpAddr>,
        now: Moment,
    ) -> Result<Verdict, Refusal> {
        if let Some(ip) = from {
            self.check_address(ip)?;
            self.check_password(request, ip, now)?;
            self.check_host(request)?;
        }
        check_origin(request)?;
        let path = std::str::from_utf8(request.target.path).unwrap_or_default();
        let rpc = format!("{}rpc", self.config.base);
        if path.strip_suffix('/').unwrap_or(path) != rpc {
            return self.elsewhere(request, path);
        }
        if !matches!(request.method, b"GET" | b"POST") {
            return Err(refuse(405, "only POST is answered here").with("Allow", "GET, POST".to_owned()));
        }
        let given = request.field(SESSION_ID).unwrap_or_default();
        if !is_same(given, self.session_id.as_bytes()) {
            return Err(self.unknown_session());
        }
        match request.method {
            b"POST" => Ok(Verdict::Rpc),
            _ => Err(refuse(405, "requests are sent by POST").with("Allow", "POST".to_owned())),
        }
    }

    /// Whether the address is one of those that may ask.
    fn check_address(&self, ip: IpAddr) -> Result<(), Refusal> {
        let text = ip.to_canonical().to_string();
        match self.config.addresses.is_empty()
            || self.config.addresses.iter().any(|pattern| matches(pattern, &text))
        {
            true => Ok(()),
            false => Err(refuse(403, &format!("{text} may not ask; --rpc-allow {text} permits it"))),
        }
    }

    /// Whether the password is right, where one is set.
    fn check_password(&mut self, request: &Request<'_>, ip: IpAddr, now: Moment) -> Result<(), Refusal> {
        let Some(credentials) = &self.config.credentials else { return Ok(()) };
        let who = host(ip);
        if let Some(guesser) = self.guessers.get(&who).filter(|guesser| now < guesser.until) {
            let seconds = (guesser.until - now).as_secs() + 1;
            let why = format!("too many wrong passwords; try again in {seconds} s");
            return Err(refuse(403, &why).with("Retry-After", seconds.to_string()));
        }
        let given = request.field("authorization");
        if given.is_some_and(|given| is_login(given, credentials)) {
            self.guessers.remove(&who);
            return Ok(());
        }
        // A browser asks once without a password before it asks its user.
        if given.is_some() {
            self.guessed_wrong(who, now);
        }
        let realm = "Basic realm=\"bitwren\", charset=\"UTF-8\"".to_owned();
        Err(refuse(401, "a user name and a password are needed").with("WWW-Authenticate", realm))
    }

    fn guessed_wrong(&mut self, who: IpAddr, now: Moment) {
        if self.guessers.len() >= MAX_GUESSERS && !self.guessers.contains_key(&who) {
            let oldest = self.guessers.iter().min_by_key(|(_, guesser)| guesser.until).map(|(ip, _)| *ip);
            oldest.map(|ip| self.guessers.remove(&ip));
        }
        let guesser = self.guessers.entry(who).or_insert(Guesser { wrong: 0, until: now });
        guesser.wrong = guesser.wrong.saturating_add(1);
        // One second, doubled each time.
        if let Some(over) = guesser.wrong.checked_sub(FREE_GUESSES) {
            guesser.until = now + Duration::from_secs(1 << over.min(6)).min(MAX_WAIT);
        }
    }

    /// Whether the name that a browser was told is ours: another name may lead here, too, from a page that is to
    /// steal what is here (DNS rebinding). Such a page sends no password, so that one makes any name good.
    fn check_host(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let Some(given) = request.field("host") else { return Ok(()) };
        let given = String::from_utf8_lossy(given).to_ascii_lowercase();
        let name = host_name(&given);
        let is_ours = self.config.credentials.is_some()
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || matches!(name, "localhost" | "localhost.")
            || self.config.hosts.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name));
        match is_ours {
            true => Ok(()),
            false => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                Err(refuse(421, &format!("{shown:?} is not known here; --rpc-host {shown} permits it")))
            }
        }
    }

    /// What is not the RPC.
    fn elsewhere(&self, request: &Request<'_>, path: &str) -> Result<Verdict, Refusal> {
        let base = &self.config.base;
        let web = format!("{base}web/");
        let is_root = path == "/" || path == base || path == base.trim_end_matches('/');
        if is_root || path == web.trim_end_matches('/') {
            return Ok(Verdict::Redirect(web));
        }
        if path == web {
            return match request.method {
                b"GET" => Ok(Verdict::Page),
                _ => Err(refuse(405, "the page is only read").with("Allow", "GET".to_owned())),
            };
        }
        Err(refuse(404, &format!("there is nothing here; the RPC is at {base}rpc")))
    }

    fn unknown_session(&self) -> Refusal {
        let id = &self.session_id;
        // Some clients read the id from here rather than from the head.
        let why = format!("send the request again with this header: {SESSION_ID}: {id}");
        refuse(409, &why).with(SESSION_ID, id.clone()).with("X-Transmission-Rpc-Version", "6.0.1".to_owned())
    }
}

/// Refuses what a page of another origin sends, with whatever password its browser adds.
fn check_origin(request: &Request<'_>) -> Result<(), Refusal> {
    let foreign = || refuse(403, "a page of another site may not ask");
    if let Some(origin) = request.field("origin") {
        let origin = String::from_utf8_lossy(origin).to_ascii_lowercase();
        let host = String::from_utf8_lossy(request.field("host").unwrap_or_default()).to_ascii_lowercase();
        let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if host.is_empty() || named != Some(&*host) {
            return Err(foreign());
        }
    }
    // A link on another site may lead to a page here.
    let is_asking = request.method != b"GET";
    match request.field("sec-fetch-site") {
        Some(b"cross-site" | b"same-site") if is_asking => Err(foreign()),
        _ => Ok(()),
    }
}

fn refuse(status: u16, why: &str) -> Refusal {
    Refusal { status, why: why.to_owned(), fields: Vec::new() }
}

impl Refusal {
    fn with(mut self, name: &'static str, value: String) -> Refusal {
        self.fields.push((name, value));
        self
    }
}

/// The name or the address in a `Host`, without the port.
fn host_name(host: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        // The colons of an IPv6 address stand within brackets.
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

/// Whether an `Authorization` is of the kind `Basic`, with these credentials.
fn is_login(given: &[u8], credentials: &str) -> bool {
    let cut = given.iter().position(|&byte| byte == b' ').unwrap_or(given.len());
    let (kind, rest) = given.split_at(cut);
    kind.eq_ignore_ascii_case(b"basic") && is_same(rest.trim_ascii(), credentials.as_bytes())
}

/// Whether both are the same. It takes as long wherever they differ first.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http_head::{Head, read_head};

    const ID: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL";
    const NEXT: &str = "lkjihgfedcbaLKJIHGFEDCBA0123456789zyxwvutsrqponm";

    fn gate(change: impl FnOnce(&mut GateConfig)) -> Gate {
        let mut config = GateConfig { base: "/transmission/".into(), ..GateConfig::default() };
        change(&mut config);
        Gate::new(config, ID.into(), Moment::START)
    }

    fn ask_at(gate: &mut Gate, line: &str, fields: &[&str], from: Option<&str>, now: Moment) -> Verdict {
        let head = format!("{line} HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
        let Head::Whole(request) = read_head(head.as_bytes(), 8192) else { panic!("{head}") };
        gate.check(&request, from.map(|from| from.parse().unwrap()), now, || NEXT.into())
    }

    fn ask(gate: &mut Gate, line: &str, fields: &[&str]) -> Verdict {
        ask_at(gate, line, fields, Some("127.0.0.1"), Moment::START)
    }

    fn status(verdict: &Verdict) -> u16 {
        match verdict {
            Verdict::Rpc => 200,
            Verdict::Redirect(_) => 301,
            Verdict::Page => 200,
            Verdict::Refused(refusal) => refusal.status,
        }
    }

    const RPC: &str = "POST /transmission/rpc";
    const HERE: &str = "Host: 127.0.0.1:9091";

    fn session() -> String {
        format!("{SESSION_ID}: {ID}")
    }

    #[test]
    fn the_session_id_is_told_in_the_head_and_in_the_text_and_is_then_good() {
        let mut gate = gate(|_| ());
        for fields in [&[HERE][..], &[HERE, "X-Transmission-Session-Id: wrong"]] {
            for line in [RPC, "GET /transmission/rpc", "POST /transmission/rpc/"] {
                let Verdict::Refused(refusal) = ask(&mut gate, line, fields) else { panic!() };
                assert_eq!(refusal.status, 409);
                assert!(refusal.fields.contains(&(SESSION_ID, ID.to_owned())));
                assert!(refusal.why.contains(&format!("{SESSION_ID}: {ID}")));
            }
        }
        assert_eq!(ask(&mut gate, RPC, &[HERE, &session()]), Verdict::Rpc);
        assert_eq!(ask(&mut gate, "POST /transmission/rpc/", &[HERE, &session()]), Verdict::Rpc);
        assert_eq!(status(&ask(&mut gate, "GET /transmission/rpc", &[HERE, &session()])), 405);
        assert_eq!(status(&ask(&mut gate, "OPTIONS /transmission/rpc", &[HERE, &session()])), 405);
    }

    #[test]
    fn the_session_id_is_another_after_an_hour() {
        let mut gate = gate(|_| ());
        let later = Moment::START + SESSION_ID_DURATION;
        let old = ask_at(&mut gate, RPC, &[HERE, &session()], None, later);
        assert_eq!((status(&old), gate.session_id()), (409, NEXT));
        let new = format!("{SESSION_ID}: {NEXT}");
        assert_eq!(ask_at(&mut gate, RPC, &[HERE, &new], None, later), Verdict::Rpc);
    }

    #[test]
    fn without_the_password_nothing_is_told() {
        let mut gate = gate(|config| config.credentials = Some("dTpw".into()));
        for (line, fields) in [
            (RPC, &[HERE][..]),
            (RPC, &[HERE, &session()]),
            ("GET /nothing", &[HERE]),
            (RPC, &["Host: evil.example"]),
        ] {
            let Verdict::Refused(refusal) = ask(&mut gate, line, fields) else { panic!("{line}") };
            assert_eq!(refusal.status, 401);
            assert!(refusal.fields.iter().all(|(name, _)| *name == "WWW-Authenticate"));
        }
        let login = |login: &str| format!("Authorization: {login}");
        assert_eq!(status(&ask(&mut gate, RPC, &[HERE, &login("Basic dTpw")])), 409);
        assert_eq!(
            ask(&mut gate, RPC, &[&session(), &login("basic  dTpw"), "Host: any.example"]),
            Verdict::Rpc
        );
        for wrong in ["Basic dTpx", "Basic dTpw=", "Bearer dTpw", "Basic", "dTpw"] {
            assert_eq!(status(&ask(&mut gate, RPC, &[HERE, &login(wrong)])), 401, "{wrong}");
        }
        // The mode of a Unix socket says who may ask.
        assert_eq!(ask_at(&mut gate, RPC, &[&session()], None, Moment::START), Verdict::Rpc);
    }

    #[test]
    fn who_guesses_waits_longer_each_time_and_no_other_does() {
        let mut gate = gate(|config| config.credentials = Some("dTpw".into()));
        let mut guess = |from: &str, login: &str, at: u64| {
            let login = format!("Authorization: Basic {login}");
            status(&ask_at(&mut gate, RPC, &[HERE, &login], Some(from), Moment::from_millis(at)))
        };
        for _ in 0..5 {
            assert_eq!(guess("2001:db8::1", "wrong", 0), 401);
        }
        assert_eq!((guess("2001:db8::2", "dTpw", 500), guess("2001:db8:0:1::1", "dTpw", 500)), (403, 409));
        assert_eq!(guess("2001:db8::1", "wrong", 1000), 401);
        assert_eq!((guess("2001:db8::1", "dTpw", 2999), guess("2001:db8::1", "dTpw", 3000)), (403, 409));
        // The right one is forgiven.
        assert_eq!((guess("2001:db8::1", "wrong", 3001), guess("2001:db8::1", "dTpw", 3001)), (401, 409));
        for number in 0..2 * MAX_GUESSERS as u64 {
            guess(&format!("10.0.{}.{}", number / 256, number % 256), "wrong", 4000);
        }
        assert!(gate.guessers.len() <= MAX_GUESSERS);
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused_with_the_option_that_permits_it() {
        let mut gate = gate(|config| config.hosts = vec!["box".into(), "*.Example.org".into()]);
        for host in [
            "127.0.0.1:9091",
            "192.168.1.7",
            "[::1]:9091",
            "[::1]",
            "localhost:1",
            "localhost.:1",
            "BOX:9091",
            "a.example.ORG",
        ] {
            let host = format!("Host: {host}");
            assert_eq!(ask(&mut gate, RPC, &[&host, &session()]), Verdict::Rpc, "{host}");
        }
        for host in
            ["evil.example:9091", "example.org", "box.evil", "127.0.0.1.evil.example", "localhost.evil", ""]
        {
            let verdict = ask(&mut gate, RPC, &[&format!("Host: {host}"), &session()]);
            assert_eq!(status(&verdict), 421, "{host}");
            let Verdict::Refused(refusal) = verdict else { panic!() };
            assert!(refusal.why.contains("--rpc-host"), "{}", refusal.why);
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let mut gate = gate(|_| ());
        for foreign in [
            "Origin: http://evil.example",
            "Origin: null",
            "Origin: http://127.0.0.1",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
        ] {
            assert_eq!(status(&ask(&mut gate, RPC, &[HERE, &session(), foreign])), 403, "{foreign}");
        }
        for own in ["Origin: http://127.0.0.1:9091", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"] {
            assert_eq!(ask(&mut gate, RPC, &[HERE, &session(), own]), Verdict::Rpc, "{own}");
        }
    }

    #[test]
    fn only_the_addresses_that_are_named_may_ask() {
        let mut gate = gate(|config| config.addresses = vec!["127.0.0.1".into(), "192.168.*.*".into()]);
        let mut from = |from: &str| status(&ask_at(&mut gate, RPC, &[HERE], Some(from), Moment::START));
        assert_eq!([from("127.0.0.1"), from("::ffff:192.168.3.4"), from("192.168.9.9")], [409; 3]);
        assert_eq!([from("127.0.0.2"), from("10.192.168.1"), from("::1")], [403; 3]);
    }

    #[test]
    fn other_paths_lead_to_the_page_or_nowhere() {
        let mut gate = gate(|_| ());
        for root in ["/", "/transmission", "/transmission/", "/transmission/web"] {
            let verdict = ask(&mut gate, &format!("GET {root}"), &[HERE]);
            assert_eq!(verdict, Verdict::Redirect("/transmission/web/".into()), "{root}");
        }
        assert_eq!(ask(&mut gate, "GET /transmission/web/", &[HERE]), Verdict::Page);
        assert_eq!(status(&ask(&mut gate, "POST /transmission/web/", &[HERE])), 405);
        assert_eq!(status(&ask(&mut gate, "GET /transmission/web/", &["Host: elsewhere.example"])), 421);
        for nowhere in [
            "/transmission/nothing/here",
            "/rpc",
            "/transmission/web/../../etc/passwd",
            "/transmission/rpc//",
        ] {
            assert_eq!(status(&ask(&mut gate, &format!("GET {nowhere}"), &[HERE])), 404, "{nowhere}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in
            [("*", ""), ("*", "a"), ("a*c", "abc"), ("a*c", "ac"), ("*b*", "abc"), ("a", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*c", "a"), ("a*a", "a"), ("ab*bc", "abc"), ("*x*", "abc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
