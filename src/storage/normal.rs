//! Names that differ in Unicode normalisation only: `é` as one character, and as `e` with an accent.
//!
//! Linux keeps names as they are given; macOS and programs that copy from it take them apart. Full
//! tables are a hundred times as long as this: it has the letters of Latin, Greek and Cyrillic
//! scripts, kana and Hangul, which are the ones that occur in names taken apart. A letter that is not
//! here makes two names differ that a full table would call equal; never the other way round.

use std::borrow::Cow;

/// Letters by their combining mark: pairs of the whole and what is left without the mark.
const LETTERS: [(char, &str); 20] = [
    ('\u{300}', "ÀAÈEÌIÒOÙUàaèeìiòoùuǛÜǜüǸNǹnЀЕЍИѐеѝиẦÂầâẰĂằăỀÊềêỒÔồôỜƠờơỪƯừưỲYỳy"),
    (
        '\u{301}',
        "ÁAÉEÍIÓOÚUÝYáaéeíióoúuýyĆCćcĹLĺlŃNńnŔRŕrŚSśsŹZźzǗÜǘüΆΑΈΕΉΗΊΙΌΟΎΥΏΩΐϊάαέεήηίιΰϋόούυώωЃГЌКѓгќкẤÂấâẮĂắăẾÊếêỐÔốôỚƠớơỨƯứư",
    ),
    ('\u{302}', "ÂAÊEÎIÔOÛUâaêeîiôoûuĈCĉcĜGĝgĤHĥhĴJĵjŜSŝsŴWŵwŶYŷyẬẠậạỆẸệẹỘỌộọ"),
    ('\u{303}', "ÃAÑNÕOãañnõoĨIĩiŨUũuẪÂẫâẴĂẵăẼEẽeỄÊễêỖÔỗôỠƠỡơỮƯữưỸYỹy"),
    ('\u{304}', "ĀAāaĒEēeĪIīiŌOōoŪUūuǕÜǖüǬǪǭǫӢИӣиӮУӯу"),
    ('\u{306}', "ĂAăaĔEĕeĞGğgĬIĭiŎOŏoŬUŭuЎУЙИйиўуӁЖӂжӐАӑаӖЕӗеẶẠặạ"),
    ('\u{307}', "ĊCċcĖEėeĠGġgİIŻZżz"),
    ('\u{308}', "ÄAËEÏIÖOÜUäaëeïiöoüuÿyŸYΪΙΫΥϊιϋυЁЕЇІёеїіӒАӓаӚӘӛәӜЖӝжӞЗӟзӤИӥиӦОӧоӪӨӫөӬЭӭэӰУӱуӴЧӵчӸЫӹы"),
    ('\u{309}', "ẢAảaẨÂẩâẲĂẳăẺEẻeỂÊểêỈIỉiỎOỏoỔÔổôỞƠởơỦUủuỬƯửưỶYỷy"),
    ('\u{30a}', "ÅAåaŮUůu"),
    ('\u{30b}', "ŐOőoŰUűuӲУӳу"),
    ('\u{30c}', "ČCčcĎDďdĚEěeĽLľlŇNňnŘRřrŠSšsŤTťtŽZžzǍAǎaǏIǐiǑOǒoǓUǔuǙÜǚüǦGǧgǨKǩk"),
    ('\u{30f}', "ѶѴѷѵ"),
    ('\u{31b}', "ƠOơoƯUưu"),
    ('\u{323}', "ẠAạaẸEẹeỊIịiỌOọoỢƠợơỤUụuỰƯựưỴYỵy"),
    ('\u{326}', "ȘSșsȚTțt"),
    ('\u{327}', "ÇCçcĢGģgĶKķkĻLļlŅNņnŖRŗrŞSşsŢTţt"),
    ('\u{328}', "ĄAąaĘEęeĮIįiŲUųuǪOǫo"),
    (
        '\u{3099}',
        "がかぎきぐくげけごこざさじしずすぜせぞそだたぢちづつでてどとばはびひぶふべへぼほゔうゞゝガカギキグクゲケゴコザサジシズスゼセゾソダタヂチヅツデテドトバハビヒブフベヘボホヴウヷワヸヰヹヱヺヲヾヽ",
    ),
    ('\u{309a}', "ぱはぴひぷふぺへぽほパハピヒプフペヘポホ"),
];

/// The first and the last syllable of Hangul that stands for several letters, and where those begin.
const HANGUL: (u32, u32) = (0xac00, 0xd7a3);
const LEAD: u32 = 0x1100;
const VOWEL: u32 = 0x1161;
const TAIL: u32 = 0x11a7;
const VOWELS: u32 = 21;
const TAILS: u32 = 28;

/// The name with every letter decomposed. Borrowed if there is none to decompose.
pub(super) fn apart(name: &str) -> Cow<'_, str> {
    if name.chars().all(|c| step(c).is_none()) {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len() * 2);
    name.chars().for_each(|c| take_apart(c, &mut text));
    Cow::Owned(text)
}

fn take_apart(c: char, into: &mut String) {
    match step(c) {
        // A letter can have two marks.
        Some((base, mark)) => {
            take_apart(base, into);
            into.push(mark);
        }
        None => into.push(c),
    }
}

/// A letter without its last mark, and the mark.
fn step(c: char) -> Option<(char, char)> {
    if c.is_ascii() {
        return None;
    }
    syllable(c).or_else(|| {
        LETTERS.iter().find_map(|(mark, pairs)| {
            let mut chars = pairs.chars();
            while let (Some(whole), Some(base)) = (chars.next(), chars.next()) {
                if whole == c {
                    return Some((base, *mark));
                }
            }
            None
        })
    })
}

/// A syllable of Hangul without its last letter, and that letter.
fn syllable(c: char) -> Option<(char, char)> {
    let at = u32::from(c).checked_sub(HANGUL.0).filter(|_| u32::from(c) <= HANGUL.1)?;
    let (open, tail) = (at / TAILS, at % TAILS);
    let (rest, last) = match tail {
        0 => (LEAD + open / VOWELS, VOWEL + open % VOWELS),
        _ => (HANGUL.0 + open * TAILS, TAIL + tail),
    };
    Some((char::from_u32(rest)?, char::from_u32(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_the_same_taken_apart_are_one() {
        for (whole, parts) in [
            ("café – Zoë.txt", "cafe\u{301} – Zoe\u{308}.txt"),
            ("Ångström", "A\u{30a}ngstro\u{308}m"),
            ("ậ", "a\u{323}\u{302}"),
            ("ё й Ǖ", "е\u{308} и\u{306} U\u{308}\u{304}"),
            ("が ぱ ヴ", "か\u{3099} は\u{309a} ウ\u{3099}"),
            ("각 가", "\u{1100}\u{1161}\u{11a8} \u{1100}\u{1161}"),
        ] {
            assert_eq!(apart(whole), parts);
            assert_eq!(apart(parts), parts);
        }
    }

    #[test]
    fn names_that_are_not_equal_stay_apart() {
        assert_ne!(apart("é"), apart("è"));
        assert_ne!(apart("日本"), apart("中国"));
        assert!(matches!(apart("plain 日本 ø ß"), Cow::Borrowed(_)));
    }
}
