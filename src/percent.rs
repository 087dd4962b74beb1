//! Percent-encoding undone (RFC 3986, section 2.1), where what is not well encoded is an error.

/// The bytes that a text stands for; nothing where a percent sign is not followed by two hexadecimal digits.
/// With `plus_is_space` a plus sign is a space, as in the query of a form.
pub fn decode(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(match byte {
            b'%' => (digit()? * 16 + digit()?) as u8,
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    Some(bytes)
}
