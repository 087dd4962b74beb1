//! Conversations driven as the threads of a connection drive them, in virtual time.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::bitfield::Bitfield;
use crate::id::InfoHash;
use crate::job::{Claim, LeaseId, OpenPiece, PieceJob};
use crate::peer::session::Setup;
use crate::pieces::Pieces;
use crate::violation::Violation;

const PIECES: u32 = 8;
const MAX_UNSENT: usize = 1_000;

fn pieces() -> Pieces {
    Pieces::new(u64::from(PIECES * 4 * BLOCK), u64::from(4 * BLOCK)).unwrap()
}

fn conversation(have: Bitfield) -> Conversation {
    let setup = Setup {
        pieces: Some(pieces()),
        info_hash: InfoHash::from_bytes([7; 20]),
        peer_ip: IpAddr::from([80, 4, 4, 200]),
        fast: true,
        extension_setup: None,
        have,
        request_cap: 50,
    };
    let mut conversation = Conversation::new(Session::new(setup, Moment::START), MAX_UNSENT, Moment::START);
    conversation.outgoing().clear();
    conversation
}

/// One with a peer that has everything, unchokes us, and was given piece 0 to deliver.
fn downloading() -> (Conversation, Arc<OpenPiece>) {
    let mut conversation = conversation(Bitfield::empty(PIECES));
    for message in [Message::HaveAll, Message::Unchoke] {
        conversation.on_message(message, Moment::START).unwrap();
    }
    let piece = Arc::new(OpenPiece::new(0, 4));
    let claim = Arc::new(Claim::new(piece.clone(), 0..4));
    let order = Order::Take(PieceJob { lease: LeaseId(1), claim });
    conversation.on_order(order, Moment::START).unwrap();
    (conversation, piece)
}

fn blocks(begin: u32, count: u32, more: bool) -> Blocks<()> {
    Blocks { piece: 0, begin: begin * BLOCK, length: count * BLOCK, data: (), more }
}

#[test]
fn each_block_of_a_run_is_judged_on_its_own() {
    let (mut conversation, piece) = downloading();
    assert!(piece.receive(1), "another peer delivers block 1");
    let taken_in = conversation.on_blocks(&blocks(0, 3, false), Moment::START).unwrap();
    assert_eq!(taken_in, TakenIn { won: 0b101, wasted: u64::from(BLOCK) });
}

#[test]
fn what_follows_waits_for_a_few_frames_while_there_are_more_to_read() {
    let mut conversation = conversation(Bitfield::empty(PIECES));
    let due: Vec<bool> =
        [true, true, true, true, true, false, false].map(|more| conversation.is_due_after(more)).into();
    assert_eq!(due, [false, false, false, true, false, true, true]);
}

#[test]
fn each_verified_piece_is_told_once() {
    let mut conversation = conversation(Bitfield::empty(PIECES));
    let mut told = |pieces: &[u32]| {
        conversation.on_verified(pieces);
        std::mem::take(conversation.outgoing()).len() / 9
    };
    assert_eq!([told(&[]), told(&[5, 6]), told(&[6]), told(&[7, 0])], [0, 2, 0, 2]);
}

#[test]
fn a_piece_that_is_lost_ends_it_where_the_peer_cannot_be_told() {
    let mut conversation = conversation(Bitfield::full(PIECES));
    conversation.on_message(Message::HaveNone, Moment::START).unwrap();
    conversation.on_lost(3);
    assert_eq!(conversation.check_over(), Err(DisconnectReason::PiecesLost));
}

#[test]
fn the_first_reason_to_end_counts_and_nothing_is_taken_in_after_it() {
    let (mut conversation, _) = downloading();
    conversation.on_end(DisconnectReason::Silent);
    conversation.on_end(DisconnectReason::Lost);
    let over = Err(DisconnectReason::Silent);
    assert_eq!(conversation.on_message(Message::Unchoke, Moment::START), over);
    assert_eq!(conversation.on_blocks(&blocks(0, 1, false), Moment::START), Err(DisconnectReason::Silent));
    assert_eq!(conversation.on_time(false, Moment::START), over);
    let returned = |conversation: &mut Conversation| {
        conversation.reports().filter(|report| matches!(report, Report::Returned(_))).count()
    };
    conversation.end();
    assert_eq!(returned(&mut conversation), 1);
    assert_eq!(returned(&mut conversation), 0);
}

#[test]
fn a_violation_and_an_order_to_close_give_their_reasons() {
    let mut conversation = conversation(Bitfield::empty(PIECES));
    let violation = DisconnectReason::Violation(Violation::IndexOutOfRange);
    assert_eq!(conversation.on_message(Message::Have(PIECES), Moment::START), Err(violation));
    let why = DisconnectReason::BothSeeds;
    assert_eq!(conversation.on_order(Order::Close(why), Moment::START), Err(why));
}

#[test]
fn a_thread_that_sleeps_past_a_nearer_deadline_is_woken_once() {
    let (mut conversation, _) = downloading();
    conversation.on_time(false, Moment::START).unwrap();
    let asleep = conversation.sleeps_until();
    assert!(!conversation.is_to_be_woken());
    let piece = Arc::new(OpenPiece::new(1, 4));
    let order = Order::Take(PieceJob { lease: LeaseId(2), claim: Arc::new(Claim::new(piece, 0..4)) });
    conversation.on_order(order, Moment::from_secs(1)).unwrap();
    assert!(conversation.session().deadline() < asleep);
    assert!(conversation.is_to_be_woken() && !conversation.is_to_be_woken());
}

#[test]
fn silence_that_is_our_doing_is_excused() {
    let (mut conversation, _) = downloading();
    let later = Moment::from_secs(140);
    assert_eq!(conversation.on_time(true, later), Ok(()));
    let (mut conversation, _) = downloading();
    assert!(conversation.on_time(false, later).is_err());
}

#[test]
fn messages_go_before_blocks_and_too_many_unsent_end_it() {
    let mut conversation = conversation(Bitfield::full(PIECES));
    conversation.on_message(Message::Interested, Moment::START).unwrap();
    conversation.on_order(Order::Choke(false), Moment::START).unwrap();
    let block = pieces().block(3, 2);
    conversation.on_message(Message::Request(block), Moment::START).unwrap();
    assert!(conversation.has_uploads());
    assert_eq!(conversation.next_block(), None);
    let mut messages = vec![0; 7];
    assert_eq!(conversation.next(&mut messages), Some(ToSend::Messages));
    assert_eq!(messages, [0, 0, 0, 1, 1], "unchoke");
    assert_eq!(conversation.next(&mut messages), Some(ToSend::Block(block)));
    conversation.on_message(Message::Request(block), Moment::START).unwrap();
    assert_eq!([conversation.next_block(), conversation.next_block()], [Some(block), None]);
    let long = BlockRef { begin: 0, length: 2 * BLOCK, ..block };
    conversation.on_message(Message::Request(long), Moment::START).unwrap();
    assert_eq!(conversation.next_block(), None);
    assert_eq!(conversation.next(&mut messages), Some(ToSend::Block(long)));
    assert_eq!((conversation.next(&mut messages), messages.len()), (None, 0));
    conversation.outgoing().resize(MAX_UNSENT + 1, 0);
    assert_eq!(conversation.check_unsent(), Ok(()));
    conversation.outgoing().push(0);
    assert_eq!(conversation.check_unsent(), Err(DisconnectReason::Silent));
}
