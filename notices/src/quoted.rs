/// Words of somebody else, between quotation marks: at most `max` characters on one line, of which no mail program makes a
/// link, an address or markup. What could is a `·`.
pub(crate) fn quoted(text: &str, max: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).peekable();
    let (mut shown, mut before, mut length) = (String::from('"'), ' ', 0);
    while let Some(c) = chars.next() {
        if length == max {
            shown.push('…');
            break;
        }
        let within_number = c == '.' && before.is_ascii_digit() && chars.peek().is_some_and(char::is_ascii_digit);
        shown.push(if within_number || is_harmless(c) { c } else { '·' });
        (before, length) = (c, length + 1);
    }
    shown.push('"');
    shown
}

fn is_harmless(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ' ' | '\'' | '’' | '(' | ')' | ',' | '-' | '+' | '!' | '?')
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_could_be_a_link_or_a_header_is_none_any_more() {
        let cases = [
            ("Alice's phone", r#""Alice's phone""#),
            ("Größe 鍵, iOS 17.2.1", r#""Größe 鍵, iOS 17.2.1""#),
            ("https://evil.example/x", r#""https···evil·example·x""#),
            ("bob@evil.example", r#""bob·evil·example""#),
            ("x\r\nBcc: all@evil.example", r#""x  Bcc· all·evil·example""#),
            ("\"> <a href=x>", r#""·· ·a href·x·""#),
            ("a\u{202e}b\u{0}c", r#""a·b·c""#),
            ("17.example 1.", r#""17·example 1·""#),
        ];
        for (text, shown) in cases {
            assert_eq!(quoted(text, 60), shown);
        }
        assert_eq!(quoted(&"x".repeat(61), 60), format!("\"{}…\"", "x".repeat(60)));
    }
}
