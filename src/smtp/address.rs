//! Addresses as mail servers take them. Pure.

/// An address with its domain in ASCII (`xn--…`, RFC 5890 §2.3.2.1), which needs no extension of any server. A domain
/// that has no such form, and a local part, stay as they are.
pub(super) fn on_the_wire(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", ascii_domain(domain)),
        None => String::from(address),
    }
}

/// A domain in ASCII, by the rules of UTS 46 that browsers and mail programs follow. What is no letter, digit, hyphen
/// or dot afterwards is refused: a full-width `＞` would become the `>` that ends an address in a command.
#[must_use]
pub fn ascii_domain(domain: &str) -> String {
    if domain.is_ascii() {
        return String::from(domain);
    }
    let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::STD3);
    ascii.map_or_else(|_| String::from(domain), String::from)
}

#[cfg(test)]
mod tests {
    use super::on_the_wire;

    #[test]
    fn a_domain_goes_as_ascii_and_a_local_part_as_it_is() {
        for (given, expected) in [
            ("b@köln.example", "b@xn--kln-sna.example"),
            ("B.Big@KÖLN.example", "B.Big@xn--kln-sna.example"),
            ("b@例え.テスト", "b@xn--r8jz45g.xn--zckzah"),
            ("b@K.Example", "b@K.Example"),
            ("ü@köln.example", "ü@xn--kln-sna.example"),
            ("\"a@b\"@köln.example", "\"a@b\"@xn--kln-sna.example"),
            ("b@[192.0.2.1]", "b@[192.0.2.1]"),
            ("b@ö .example", "b@ö .example"),
            ("b@ö＞.example", "b@ö＞.example"),
        ] {
            assert_eq!(on_the_wire(given), expected);
        }
    }
}
