//! What liars do differently: everything else about them is the real thing.

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::peer::conversation::{Conversation, ToSend};
use bitwren::internals::pieces::{BLOCK, BlockRef};
use bitwren::internals::wire::message::{EXTENDED, Message, piece_header};

use super::net::Net;
use super::node::Common;
use super::plan::Twist;
use super::worker::Worker;

/// The id of a request.
const REQUEST: u8 = 6;

/// What a liar says that it has.
pub fn claims(twist: Option<Twist>, have: Bitfield) -> Bitfield {
    match twist {
        Some(Twist::HasAllServesNone | Twist::RejectsAll) => Bitfield::full(have.len()),
        _ => have,
    }
}

/// What it says, besides or instead.
pub fn says(twist: Twist, conversation: &mut Conversation, common: &Common, net: &mut Net) {
    match twist {
        Twist::Unrequested if net.dice.below(3) == 0 => {
            let piece = net.dice.below(u64::from(common.pieces.count())) as u32;
            let blocks = u64::from(common.pieces.blocks(piece));
            let block = common.pieces.block(piece, net.dice.below(blocks) as u32);
            let bytes = conversation.outgoing();
            bytes.extend_from_slice(&piece_header(block));
            bytes.extend((0..block.length).map(|_| 0xAA));
        }
        Twist::HaveFlood => {
            let have = conversation.session().has().len().max(1);
            (0..500).for_each(|nth| Message::Have(nth % have).encode(conversation.outgoing()));
        }
        Twist::HasAllServesNone | Twist::RejectsAll => {
            let (mut messages, mut rejections) = (Vec::new(), Vec::new());
            let rejects = twist == Twist::RejectsAll && conversation.session().fast();
            let mut said = Vec::new();
            while let Some(next) = conversation.next(&mut messages) {
                match next {
                    ToSend::Messages => said.append(&mut messages),
                    ToSend::Block(block) if rejects => Message::Reject(block).encode(&mut rejections),
                    ToSend::Block(_) => {}
                }
            }
            said.append(&mut rejections);
            *conversation.outgoing() = said;
        }
        Twist::FalseMetadata => {
            each_block_of_metadata(conversation.outgoing(), |frame| *frame.last_mut().unwrap() = b'?');
        }
        Twist::AsksTwice => each_frame(conversation.outgoing(), |frame| {
            if frame.get(4) == Some(&REQUEST) {
                frame.extend_from_within(..);
            }
        }),
        Twist::HoldsMetadataBack => each_block_of_metadata(conversation.outgoing(), Vec::clear),
        _ => {}
    }
}

/// Changes the frames that hold metadata.
fn each_block_of_metadata(said: &mut Vec<u8>, change: impl Fn(&mut Vec<u8>)) {
    each_frame(said, |frame| {
        if frame.get(4) == Some(&EXTENDED) && frame.windows(12).any(|some| some == b"8:msg_typei1") {
            change(frame);
        }
    });
}

/// Changes frame after frame.
fn each_frame(said: &mut Vec<u8>, change: impl Fn(&mut Vec<u8>)) {
    let (mut rest, mut changed) = (said.as_slice(), Vec::new());
    while let Some(head) = rest.first_chunk::<4>() {
        let (frame, after) = rest.split_at(4 + u32::from_be_bytes(*head) as usize);
        let mut frame = frame.to_vec();
        change(&mut frame);
        changed.append(&mut frame);
        rest = after;
    }
    *said = changed;
}

/// How it serves a block.
pub fn serves(
    twist: Twist,
    worker: &mut Worker,
    block: BlockRef,
    frame: &mut Vec<u8>,
    common: &Common,
    net: &mut Net,
) {
    match twist {
        Twist::Corrupts(one_in) if net.dice.below(one_in) == 0 => {
            let at = 13 + net.dice.below(u64::from(block.length)) as usize;
            frame[at] ^= 1 << net.dice.below(8);
        }
        Twist::CorruptsTheLastByte if block.begin + block.length == common.pieces.length(block.piece) => {
            *frame.last_mut().unwrap() ^= 0x80;
        }
        Twist::ChokesAfter(most) if worker.blocks % most == 0 => {
            Message::Choke.encode(frame);
            if net.dice.below(4) > 0 {
                Message::Unchoke.encode(frame);
            }
        }
        Twist::StallsMidBlock(most) if worker.blocks > most => {
            frame.truncate(13 + block.length as usize / 2);
            worker.mute = true;
        }
        Twist::Oversized(most) if worker.blocks > most => {
            frame.splice(..4, 0x7FFF_FFFFu32.to_be_bytes());
        }
        Twist::WrongOffset if block.begin >= BLOCK => {
            let wrong = BlockRef { begin: block.begin - BLOCK, ..block };
            frame.splice(..13, piece_header(wrong));
        }
        _ => {}
    }
}
