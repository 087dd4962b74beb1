//! Against relays on loopback that do as told.

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// The proxy's end of an association.
struct Far {
    control: TcpStream,
    socket: UdpSocket,
}

impl Far {
    /// The next datagram that was sent, without what a relay puts before it, and to which port of which host.
    fn next(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).unwrap();
    }
}

/// Both ends of an association.
fn pair() -> (Association, Far) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let [ours, theirs] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    ours.connect(theirs.local_addr().unwrap()).unwrap();
    theirs.connect(ours.local_addr().unwrap()).unwrap();
    ((near, ours), Far { control: listener.accept().unwrap().0, socket: theirs })
}

/// A relay that is got as often as anything is sent here, and what was heard.
type Given = Sender<io::Result<Association>>;

fn relay() -> (Arc<Relay>, Given) {
    let (given, next) = channel();
    let next = Mutex::new(next);
    (Relay::new(move || lock(&next).recv().unwrap_or(Err(ErrorKind::Unsupported.into()))), given)
}

/// What was heard, and from where.
type Heard = (Vec<u8>, Option<SocketAddr>);

fn hear(relay: &Arc<Relay>) -> (Hearing, Receiver<Heard>) {
    let (sender, heard) = channel();
    (relay.hear(move |bytes, from| _ = sender.send((bytes.to_vec(), from))), heard)
}

#[test]
fn what_is_sent_before_there_is_a_relay_waits_for_it_and_what_comes_is_heard() {
    let (relay, given) = relay();
    let (_hearing, heard) = hear(&relay);
    relay.send("a.example", 80, b"first");
    relay.send("1.2.3.4", 81, b"second");
    let (near, far) = pair();
    given.send(Ok(near)).unwrap();
    assert_eq!(far.next(), b"\0\0\0\x03\x09a.example\0\x50first");
    assert_eq!(far.next(), b"\0\0\0\x01\x01\x02\x03\x04\0\x51second");
    far.send(b"\0\0\x01\x01\x01\x02\x03\x04\0\x51a fragment");
    far.send(b"\0\0");
    far.send(b"\0\0\0\x01\x01\x02\x03\x04\0\x51answer");
    assert_eq!(heard.recv().unwrap(), (b"answer".to_vec(), Some("1.2.3.4:81".parse().unwrap())));
    assert!(heard.try_recv().is_err());
    relay.close();
}

#[test]
fn a_relay_that_ends_is_asked_for_again_while_it_is_heard() {
    let (relay, given) = relay();
    let (hearing, heard) = hear(&relay);
    let (near, far) = pair();
    given.send(Ok(near)).unwrap();
    relay.wait_until_up(Instant::now() + Duration::from_secs(60)).unwrap();
    drop(far);
    // After the first pause.
    let (near, far) = pair();
    given.send(Err(ErrorKind::ConnectionRefused.into())).unwrap();
    given.send(Ok(near)).unwrap();
    far.send(b"\0\0\0\x01\x01\x02\x03\x04\0\x51again");
    assert_eq!(heard.recv().unwrap().0, b"again");
    // What is not heard is not asked for again.
    drop(hearing);
    drop(far.control);
    let mut state = lock(&relay.state);
    while !matches!(state.phase, Phase::Idle(_)) {
        state = lock::wait(&relay.changed, state);
    }
    drop(state);
    let error = relay.wait_until_up(Instant::now() + Duration::from_secs(60)).unwrap_err();
    assert_eq!(error.to_string(), "the proxy has ended the relay");
}

#[test]
fn what_a_proxy_refuses_for_good_is_not_asked_again() {
    let (relay, given) = relay();
    let (_hearing, _heard) = hear(&relay);
    given.send(Err(io::Error::new(ErrorKind::Unsupported, "the proxy carries no UDP"))).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    for _ in 0..2 {
        assert_eq!(relay.wait_until_up(end).unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(relay.refusal().as_deref(), Some("the proxy carries no UDP"));
    relay.send("1.2.3.4", 1, b"lost");
    assert!(lock(&relay.state).waiting.is_empty());
}

#[test]
fn a_relay_that_does_not_come_has_an_end_and_its_queue_a_bound() {
    let (relay, given) = relay();
    for _ in 0..2 * MAX_WAITING {
        relay.send("1.2.3.4", 1, b"x");
    }
    assert_eq!(lock(&relay.state).waiting.len(), MAX_WAITING);
    assert_eq!(relay.wait_until_up(Instant::now()).unwrap_err().kind(), ErrorKind::TimedOut);
    // Closed meanwhile: an association that comes after all is ended.
    relay.close();
    let (near, far) = pair();
    given.send(Ok(near)).unwrap();
    assert_eq!((&far.control).read(&mut [0]).unwrap(), 0);
    assert!(relay.wait_until_up(Instant::now()).is_err());
}
