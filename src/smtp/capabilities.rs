//! What a server offers, from the lines of its EHLO reply (RFC 5321 §4.1.1.1).

/// The offers we use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub starttls: bool,
    pub eight_bit: bool,
    pub smtputf8: bool,
    /// Largest message; `None`: not said (or 0, RFC 1870: no fixed limit).
    pub size: Option<u64>,
    /// SASL mechanisms in upper case.
    pub auth: Vec<String>,
}

impl Capabilities {
    pub fn parse(lines: &[String]) -> Self {
        let mut offers = Self::default();
        for line in lines {
            let line = line.get(4..).unwrap_or_default().to_ascii_uppercase();
            // `AUTH=LOGIN PLAIN` is a draft's spelling that old servers add
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("SIZE") => {
                    offers.size = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                }
                Some("AUTH") => offers.auth.extend(words.map(String::from)),
                Some(_) | None => {}
            }
        }
        offers
    }

    pub fn offers(&self, mechanism: &str) -> bool {
        self.auth.iter().any(|offered| offered == mechanism)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_s_offers_are_read() {
        let lines =
            ["250-x Hello", "250-SIZE 157286400", "250-8BITMIME", "250-auth LOGIN XOAUTH2", "250 SMTPUTF8"];
        let offers = Capabilities::parse(&lines.map(String::from));
        assert!(offers.eight_bit && offers.smtputf8 && !offers.starttls);
        assert_eq!(offers.size, Some(157_286_400));
        assert!(offers.offers("XOAUTH2") && offers.offers("LOGIN") && !offers.offers("PLAIN"));
    }
}
