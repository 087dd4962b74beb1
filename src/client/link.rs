//! What a client does when the network device that it is bound to goes, and when it comes back.
//!
//! While the device is down nothing is dialled and no name looked up; what keeps trying by itself fails, as
//! its sockets know no other way. A device that was made again has another number, and sockets bound to the
//! old one are of no use: those that stay open are made again.

use std::sync::Arc;

use crate::engine::conn::listener::{Listener, Registry};
use crate::engine::context::ClientShared;
use crate::engine::net::device::{DeviceWatch, Link, look};
use crate::engine::net::egress::{Purpose, trouble};
use crate::engine::runtime::events::EventSender;
use crate::engine::udp::port::UdpPort;
use crate::error::Result;
use crate::event::EventKind;

/// Those who are told.
pub(super) struct Concerned {
    pub(super) client: Arc<ClientShared>,
    pub(super) listener: Arc<Listener>,
    pub(super) registry: Arc<Registry>,
    pub(super) udp: Option<Arc<UdpPort>>,
    pub(super) event_sender: EventSender,
}

/// The number of the device, where there is one, before any socket is bound to it.
pub(super) fn number_of(device: &str) -> Option<u32> {
    look(device).ok().flatten().map(|link| link.index)
}

/// Watches the device, to which sockets are bound already if it had this number then.
///
/// # Errors
/// [`ErrorKind::Resources`](crate::error::ErrorKind::Resources).
pub(super) fn watch(device: String, mut bound: Option<u32>, concerned: Concerned) -> Result<DeviceWatch> {
    DeviceWatch::start(device.clone(), move |link| concerned.on_change(&device, link, &mut bound))
}

impl Concerned {
    fn on_change(&self, device: &str, link: Option<Link>, bound: &mut Option<u32>) {
        let Concerned { client, registry, event_sender, .. } = self;
        if let Some(why) = trouble(device, link) {
            let lost = EventKind::DeviceLost { device: device.to_owned(), why };
            // What was told is not told again: a device may go down before it is removed.
            if client.egress.outage().is_none() {
                client.egress.set_outage(Some(lost.clone()));
                registry.tell(event_sender, &lost);
            }
            return;
        }
        let Some(link) = link else { return };
        if *bound != Some(link.index) {
            *bound = Some(link.index);
            self.reopen();
        }
        if client.egress.outage().is_some() {
            client.egress.set_outage(None);
            registry.tell(event_sender, &EventKind::DeviceFound { device: device.to_owned() });
            client.announces.retry();
            client.dht.iter().for_each(|dht| dht.retry());
        }
    }

    fn reopen(&self) {
        self.registry.cut_off();
        self.client.egress.cut_relays();
        if self.client.egress.proxy(Purpose::Peers).is_some() {
            return;
        }
        let opened = [self.listener.reopen(), self.udp.as_ref().map_or(Ok(()), |udp| udp.reopen())];
        for error in opened.into_iter().filter_map(Result::err) {
            self.registry.tell(&self.event_sender, &EventKind::Note { what: error.to_string() });
        }
        self.client.lsd.iter().for_each(|lsd| lsd.reopen());
    }
}
