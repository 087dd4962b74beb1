//! The little XML that gateways speak, read as a row of tags and texts. Never a parser: no tree, no depth,
//! no document type (a `<!` that is no comment ends it), no entity but the five.
//!
//! It reads each byte once and keeps nothing, so that nothing in the text can make it slow or large.

use std::borrow::Cow;

/// A piece of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A tag that opens, by its name without a namespace.
    Open(&'a str),
    /// A tag that closes; one that does both is an `Open` and a `Close`.
    Close(&'a str),
    /// What stands between two tags, as it is written.
    Text(&'a str),
}

/// The pieces of a document, up to what is no XML of this kind.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    rest: &'a str,
    /// The name of a tag that opened and closes.
    closes: Option<&'a str>,
}

/// The pieces of a document.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { rest: text, closes: None }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.closes.take() {
            return Some(Token::Close(name));
        }
        loop {
            let Some(tag) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return (!text.is_empty()).then_some(Token::Text(text));
            };
            let skipped = match tag {
                _ if tag.starts_with('?') => tag.split_once("?>"),
                _ if tag.starts_with("!--") => tag[3..].split_once("-->"),
                _ if tag.starts_with('!') => None,
                _ => {
                    let (inside, rest) = tag.split_once('>').unwrap_or_default();
                    self.rest = rest;
                    let (closing, inside) = match inside.strip_prefix('/') {
                        Some(inside) => (true, inside),
                        None => (false, inside),
                    };
                    let name = inside.split(|c: char| c.is_ascii_whitespace() || c == '/').next()?;
                    let name = name.rsplit(':').next().filter(|name| !name.is_empty());
                    let Some(name) = name else {
                        self.rest = "";
                        return None;
                    };
                    if !closing && inside.ends_with('/') {
                        self.closes = Some(name);
                    }
                    return Some(if closing { Token::Close(name) } else { Token::Open(name) });
                }
            };
            self.rest = skipped.map_or("", |(_, rest)| rest);
        }
    }
}

/// The text in the first element of this name, its entities resolved; nothing where it has another element in
/// it or an unknown entity.
pub fn text_of<'a>(document: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut tokens = tokens(document);
    tokens.find(|token| *token == Token::Open(name))?;
    match (tokens.next()?, tokens.next()) {
        (Token::Close(closed), _) if closed == name => Some(Cow::Borrowed("")),
        (Token::Text(text), Some(Token::Close(closed))) if closed == name => resolve(text.trim()),
        _ => None,
    }
}

/// A text with its entities resolved; nothing where it has one that is not among the five.
pub fn resolve(text: &str) -> Option<Cow<'_, str>> {
    const ENTITIES: [(&str, char); 5] =
        [("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\'')];
    if !text.contains('&') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next()?);
    for part in parts {
        let (name, stands_for) = ENTITIES.iter().find(|(name, _)| part.starts_with(name))?;
        out.push(*stands_for);
        out.push_str(&part[name.len()..]);
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_row_of_tags_and_texts() {
        let document = "<?xml version=\"1.0\"?><!-- <a> --><u:a b='c'>x &amp; y<d/><e f = '1' /></u:a>";
        let read: Vec<Token<'_>> = tokens(document).collect();
        let expected = [
            Token::Open("a"),
            Token::Text("x &amp; y"),
            Token::Open("d"),
            Token::Close("d"),
            Token::Open("e"),
            Token::Close("e"),
            Token::Close("a"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_text_is_found_and_its_entities_are_resolved() {
        let text = |document| text_of(document, "a");
        assert_eq!(text("<b/><s:a> 1&lt;2 </s:a><a>3</a>").as_deref(), Some("1<2"));
        assert_eq!(text("<a/>").as_deref(), Some(""));
        assert_eq!(text("<a></a>").as_deref(), Some(""));
        for none in ["", "<b>1</b>", "<a>", "<a>1", "<a>1<b/></a>", "<a>&x;</a>", "<a>&#65;</a>", "<a>&</a>"]
        {
            assert_eq!(text(none), None, "{none}");
        }
    }

    #[test]
    fn a_document_type_ends_the_document() {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaa\">]><a>1</a>";
        assert_eq!(tokens(bomb).count(), 0);
        assert_eq!(tokens("<a><![CDATA[x]]></a>").collect::<Vec<_>>(), [Token::Open("a")]);
        assert_eq!(tokens("<a").count(), 0);
        assert_eq!(tokens("<>x").count(), 0);
        assert_eq!(tokens("<!-- x").count(), 0);
    }
}
