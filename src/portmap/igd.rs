//! The description of a UPnP gateway and the actions it carries out (IGD 1 and 2): parses and writes text, and
//! decides nothing.
//!
//! Invariant: a [`Service`] is of a kind known here, and where its requests go to is a [`Location`], with
//! an address in digits.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::Protocol;
use super::http::Answer;
use super::ssdp::Location;
use super::xml::{Token, resolve, text_of, tokens};

/// Most services that are looked at in a description.
const MAX_SERVICES: usize = 8;

/// The kind of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mappings of IPv4: `WANIPConnection` or `WANPPPConnection`.
    Mapping,
    /// Pinholes of IPv6: `WANIPv6FirewallControl`.
    Pinhole,
}

/// A service of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its kind.
    pub kind: Kind,
    /// Its type, as requests repeat it.
    pub name: &'static str,
    /// Where requests go to.
    pub control: Location,
}

/// The services that are used, by type, the better of a kind first.
const SERVICES: [(&str, Kind); 4] = [
    ("urn:schemas-upnp-org:service:WANIPConnection:2", Kind::Mapping),
    ("urn:schemas-upnp-org:service:WANIPConnection:1", Kind::Mapping),
    ("urn:schemas-upnp-org:service:WANPPPConnection:1", Kind::Mapping),
    ("urn:schemas-upnp-org:service:WANIPv6FirewallControl:1", Kind::Pinhole),
];

/// The services in a description that was found at `at`. Services at another address than the gateway's own are
/// ignored.
pub fn services(description: &str, at: &Location) -> Vec<Service> {
    let base = text_of(description, "URLBase").and_then(|base| Location::parse(&base));
    let base = base.filter(|base| base.addr.ip() == at.addr.ip());
    let base = base.as_ref().unwrap_or(at);
    let mut found = Vec::new();
    let (mut kind, mut control) = (None, None);
    let mut tokens = tokens(description).peekable();
    while let Some(token) = tokens.next() {
        let Token::Open(name) = token else { continue };
        if name == "service" {
            (kind, control) = (None, None);
            continue;
        }
        let text = match tokens.peek() {
            Some(Token::Text(text)) => resolve(text.trim()),
            _ => None,
        };
        match name {
            "serviceType" => kind = text.and_then(|text| SERVICES.iter().find(|(name, _)| *name == text)),
            "controlURL" => {
                let joined = text.and_then(|text| base.join(&text));
                control = joined.filter(|control| control.addr.ip() == at.addr.ip());
            }
            _ => continue,
        }
        if let (Some((name, kind)), Some(found_control)) = (kind, &control)
            && found.len() < MAX_SERVICES
        {
            found.push(Service { kind: *kind, name, control: found_control.clone() });
            control = None;
        }
    }
    found.sort_by_key(|service| SERVICES.iter().position(|(name, _)| *name == service.name));
    found
}

/// An action with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub name: &'static str,
    arguments: Vec<(&'static str, String)>,
}

/// A mapping or pinhole that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The external port.
    pub external: u16,
    /// The address it leads to.
    pub client: IpAddr,
    /// The port it leads to.
    pub internal: u16,
    /// Its lease; zero means permanent.
    pub lease: Duration,
}

impl Action {
    fn plain(name: &'static str) -> Action {
        Action { name, arguments: Vec::new() }
    }

    /// Whether the gateway is connected.
    pub fn status() -> Action {
        Action::plain("GetStatusInfo")
    }

    /// Its external address.
    pub fn external_ip() -> Action {
        Action::plain("GetExternalIPAddress")
    }

    /// Adds a mapping.
    pub fn add(asked: &Asked) -> Action {
        let mut action = Action::about("AddPortMapping", asked.protocol, asked.external);
        action.arguments.extend([
            ("NewInternalPort", asked.internal.to_string()),
            ("NewInternalClient", asked.client.to_string()),
            ("NewEnabled", "1".to_owned()),
            ("NewPortMappingDescription", format!("bitwren/{}", asked.internal)),
            ("NewLeaseDuration", asked.lease.as_secs().to_string()),
        ]);
        action
    }

    /// Removes a mapping.
    pub fn delete(protocol: Protocol, external: u16) -> Action {
        Action::about("DeletePortMapping", protocol, external)
    }

    /// Looks up a mapping in the gateway's table.
    pub fn look_up(protocol: Protocol, external: u16) -> Action {
        Action::about("GetSpecificPortMappingEntry", protocol, external)
    }

    fn about(name: &'static str, protocol: Protocol, external: u16) -> Action {
        let arguments = vec![
            ("NewRemoteHost", String::new()),
            ("NewExternalPort", external.to_string()),
            ("NewProtocol", protocol.name().to_owned()),
        ];
        Action { name, arguments }
    }

    /// Opens a pinhole.
    pub fn open(asked: &Asked) -> Action {
        let arguments = vec![
            ("RemoteHost", String::new()),
            ("RemotePort", "0".to_owned()),
            ("InternalClient", asked.client.to_string()),
            ("InternalPort", asked.internal.to_string()),
            ("Protocol", asked.protocol.number().to_string()),
            ("LeaseTime", asked.lease.as_secs().to_string()),
        ];
        Action { name: "AddPinhole", arguments }
    }

    /// Renews a pinhole.
    pub fn renew(id: u16, lease: Duration) -> Action {
        let arguments = vec![("UniqueID", id.to_string()), ("NewLeaseTime", lease.as_secs().to_string())];
        Action { name: "UpdatePinhole", arguments }
    }

    /// Closes a pinhole.
    pub fn close(id: u16) -> Action {
        Action { name: "DeletePinhole", arguments: vec![("UniqueID", id.to_string())] }
    }

    /// The request, to a service of this type.
    pub fn body(&self, service: &str) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
             <u:{} xmlns:u=\"{service}\">",
            self.name
        );
        for (name, value) in &self.arguments {
            out.push_str(&format!("<{name}>{value}</{name}>"));
        }
        out.push_str(&format!("</u:{}></s:Body></s:Envelope>\r\n", self.name));
        out
    }
}

/// Whether an action was carried out; if not, the code of its error, 0 where it has none.
///
/// # Errors
/// The code.
pub fn outcome(answer: &Answer) -> Result<(), u32> {
    match answer.status {
        200 => Ok(()),
        _ => Err(text_of(&answer.body, "errorCode").and_then(|code| code.parse().ok()).unwrap_or(0)),
    }
}

/// What an error code says.
pub fn reason(code: u32) -> String {
    let known = match code {
        0 => return "it refuses the request".to_owned(),
        401 | 602 => "it does not know the action",
        402 | 600 | 601 => "it finds the request malformed",
        501 => "the action failed",
        606 => "it does not authorise mappings",
        714 => "it has no such mapping",
        718 => "the external port is taken",
        724 => "it wants the internal port as the external one",
        725 => "it gives permanent mappings only",
        728 => "it has no room for another mapping",
        703 => "its firewall allows no pinholes",
        _ => return format!("it refuses the request with error {code}"),
    };
    format!("{known} (error {code})")
}

/// The state of the connection, from the answer to [`Action::status`].
pub fn is_connected(body: &str) -> bool {
    // A gateway that does not report it is taken to be connected.
    text_of(body, "NewConnectionStatus").is_none_or(|status| status == "Connected" || status.is_empty())
}

/// The external address, from the answer to [`Action::external_ip`].
pub fn external_ip(body: &str) -> Option<IpAddr> {
    text_of(body, "NewExternalIPAddress")?.parse().ok()
}

/// A mapping in a gateway's table, from the answer to [`Action::look_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The address it leads to.
    pub client: IpAddr,
    /// The port it leads to.
    pub internal: u16,
    /// The rest of its lease; zero means permanent or unknown.
    pub lease: Duration,
}

/// Reads an [`Entry`].
pub fn entry(body: &str) -> Option<Entry> {
    let lease = text_of(body, "NewLeaseDuration").and_then(|lease| lease.parse().ok()).unwrap_or(0u32);
    Some(Entry {
        client: text_of(body, "NewInternalClient")?.parse().ok()?,
        internal: text_of(body, "NewInternalPort")?.parse().ok()?,
        lease: Duration::from_secs(lease.into()),
    })
}

/// The number of a pinhole, from the answer to [`Action::open`].
pub fn pinhole(body: &str) -> Option<u16> {
    text_of(body, "UniqueID")?.parse().ok()
}

/// Whether a gateway's external address is globally reachable.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_special = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || is_shared
                || is_special)
        }
        IpAddr::V6(ip) => is_global(ip),
    }
}

/// Whether an IPv6 address is global unicast.
pub fn is_global(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xe000 == 0x2000
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A description as miniupnpd 2.3.1 serves it, shortened to what is read.
    pub(in crate::portmap) const DESCRIPTION: &str = "<?xml version=\"1.0\"?>\r\n\
        <root xmlns=\"urn:schemas-upnp-org:device-1-0\" configId=\"1337\"><specVersion><major>1</major>\
        <minor>1</minor></specVersion><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:2\
        </deviceType><friendlyName>Debian router</friendlyName><serviceList><service><serviceType>\
        urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/ctl/L3F</controlURL></service>\
        </serviceList><deviceList><device><serviceList><service><serviceType>\
        urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><controlURL>/ctl/CmnIfCfg\
        </controlURL></service></serviceList><deviceList><device><serviceList><service><serviceType>\
        urn:schemas-upnp-org:service:WANIPv6FirewallControl:1</serviceType><controlURL>/ctl/IP6FCtl</controlURL>\
        </service><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:2</serviceType><serviceId>\
        urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/WANIPCn.xml</SCPDURL><controlURL>/ctl/IPConn\
        </controlURL><eventSubURL>/evt/IPConn</eventSubURL></service></serviceList></device></deviceList>\
        </device></deviceList><presentationURL>http://192.168.77.1/</presentationURL></device></root>\r\n";

    fn at(url: &str) -> Location {
        Location::parse(url).unwrap()
    }

    #[test]
    fn a_description_names_services_and_where_they_are() {
        let root = at("http://192.168.77.1:5000/rootDesc.xml");
        let found = services(DESCRIPTION, &root);
        let known: Vec<_> = found.iter().map(|one| (one.kind, one.control.path.as_str())).collect();
        assert_eq!(known, [(Kind::Mapping, "/ctl/IPConn"), (Kind::Pinhole, "/ctl/IP6FCtl")]);
        assert!(found.iter().all(|one| one.control.addr == root.addr));
        // Whichever of the two comes first.
        let turned = "<root><URLBase>http://192.168.77.1:80/x/</URLBase><service><controlURL>c</controlURL>\
            <serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType></service></root>";
        assert_eq!(services(turned, &root)[0].control, at("http://192.168.77.1/x/c"));
    }

    #[test]
    fn a_service_at_another_host_is_none() {
        let root = at("http://192.168.77.1:5000/rootDesc.xml");
        let with = |url: &str| services(&DESCRIPTION.replace("/ctl/IPConn", url), &root).len();
        assert_eq!(with("http://192.168.77.1:5001/x"), 2);
        for elsewhere in
            ["http://127.0.0.1:5000/x", "http://192.168.77.2/x", "//1.2.3.4/x", "/a b", "ftp://x/", "&x;"]
        {
            assert_eq!(with(elsewhere), 1, "{elsewhere}");
        }
        let based = DESCRIPTION.replace("<device>", "<URLBase>http://127.0.0.1/</URLBase><device>");
        assert!(services(&based, &root).iter().all(|one| one.control.addr == root.addr));
    }

    #[test]
    fn services_are_bounded_and_document_types_are_not_read() {
        let root = at("http://192.168.77.1:5000/rootDesc.xml");
        let one = "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
                   <controlURL>/c</controlURL></service>";
        assert_eq!(services(&one.repeat(100), &root).len(), MAX_SERVICES);
        assert_eq!(services(&format!("<!DOCTYPE r [<!ENTITY a \"b\">]>{DESCRIPTION}"), &root), []);
        assert_eq!(services(&"<device>".repeat(8000), &root), []);
    }

    #[test]
    fn an_action_is_written_as_upnp_has_it() {
        let client = IpAddr::from([192, 168, 77, 10]);
        let lease = Duration::from_secs(600);
        let asked = Asked { protocol: Protocol::Tcp, external: 6882, client, internal: 6881, lease };
        let body = Action::add(&asked).body("urn:schemas-upnp-org:service:WANIPConnection:1");
        let inner = "<u:AddPortMapping xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">\
            <NewRemoteHost></NewRemoteHost><NewExternalPort>6882</NewExternalPort><NewProtocol>TCP</NewProtocol>\
            <NewInternalPort>6881</NewInternalPort><NewInternalClient>192.168.77.10</NewInternalClient>\
            <NewEnabled>1</NewEnabled><NewPortMappingDescription>bitwren/6881</NewPortMappingDescription>\
            <NewLeaseDuration>600</NewLeaseDuration></u:AddPortMapping>";
        assert!(body.contains(inner), "{body}");
        assert!(Action::open(&asked).body("x").contains("<Protocol>6</Protocol><LeaseTime>600</LeaseTime>"));
    }

    #[test]
    fn answers_are_read() {
        let fault = Answer {
            status: 500,
            body: "<s:Envelope><s:Body><s:Fault><faultcode>s:Client</faultcode><detail><UPnPError \
                   xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>718</errorCode><errorDescription>\
                   ConflictInMappingEntry</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>"
                .into(),
        };
        assert_eq!(outcome(&fault), Err(718));
        assert_eq!(outcome(&Answer { status: 404, body: String::new() }), Err(0));
        assert_eq!(outcome(&Answer { status: 200, body: String::new() }), Ok(()));
        let ip = |text: &str| external_ip(&format!("<NewExternalIPAddress>{text}</NewExternalIPAddress>"));
        assert_eq!(ip("198.17.0.1"), Some(IpAddr::from([198, 17, 0, 1])));
        assert_eq!((ip("&lt;script&gt;999.1.1.1"), ip(""), ip("router")), (None, None, None));
        let known = entry(
            "<NewInternalPort>6881</NewInternalPort><NewInternalClient>192.168.77.10</NewInternalClient>\
             <NewEnabled>1</NewEnabled><NewLeaseDuration>30</NewLeaseDuration>",
        );
        let lease = Duration::from_secs(30);
        assert_eq!(known, Some(Entry { client: [192, 168, 77, 10].into(), internal: 6881, lease }));
        let status = |text: &str| is_connected(&format!("<NewConnectionStatus>{text}</NewConnectionStatus>"));
        assert!(status("Connected") && !status("Disconnected") && is_connected(""));
        assert_eq!(pinhole("<UniqueID>65535</UniqueID>"), Some(65535));
    }

    #[test]
    fn an_address_that_the_internet_does_not_know_is_not_public() {
        let public = |ip: &str| is_public(ip.parse().unwrap());
        assert!(public("198.17.0.1") && public("1.1.1.1") && public("2001:db8::1"));
        for ip in
            ["192.168.100.2", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0"]
        {
            assert!(!public(ip), "{ip}");
        }
        for ip in ["255.255.255.255", "fe80::1", "fd00::1", "::1", "ff02::1"] {
            assert!(!public(ip), "{ip}");
        }
    }
}
