//! A server's own words, made fit to be stored and shown: short, one line, and without anything that could be a
//! token (servers do echo the line they refuse).

const LONGEST: usize = 300;
const SHORTEST_RUN: usize = 40;

/// Shortens to 300 characters and takes out what follows `Bearer` and every base64-like run of 40 or more.
#[must_use]
pub fn scrub(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len().min(LONGEST + 8));
    let mut hide_next = false;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !scrubbed.is_empty() {
            scrubbed.push(' ');
        }
        if hide_next {
            scrubbed.push('…');
            hide_next = false;
        } else {
            hide_next = word.to_ascii_lowercase().ends_with("bearer");
            scrubbed.push_str(&without_long_runs(word));
        }
        if scrubbed.chars().count() > LONGEST {
            break;
        }
    }
    if scrubbed.chars().count() > LONGEST {
        scrubbed = scrubbed.chars().take(LONGEST - 1).chain(['…']).collect();
    }
    scrubbed
}

/// A token is one unbroken run: base64 or base64url, with `.` between the parts of a JWT.
fn without_long_runs(word: &str) -> String {
    let mut kept = String::new();
    let mut run = String::new();
    let end_run = |run: &mut String, kept: &mut String| {
        if run.len() >= SHORTEST_RUN && !is_host_name(run) {
            kept.push('…');
        } else {
            kept.push_str(run);
        }
        run.clear();
    };
    for c in word.chars() {
        if c.is_ascii_alphanumeric() || "+/=-_.~".contains(c) {
            run.push(c);
        } else {
            end_run(&mut run, &mut kept);
            kept.push(c);
        }
    }
    end_run(&mut run, &mut kept);
    kept
}

/// Exchange names its hosts in replies (`SN2PR00CA0018.namprd00.prod.outlook.com`): labels of at most 25
/// characters with three or more dots are such a name; no token's parts are that short.
fn is_host_name(run: &str) -> bool {
    let labels: Vec<&str> = run.split('.').collect();
    labels.len() >= 4
        && labels.iter().all(|label| {
            (1..=25).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn tokens_are_taken_out() {
        let jwt = format!("eyJ0eXAi.{}.sig_-x", "aB3".repeat(30));
        assert_eq!(scrub(&format!("NO auth=Bearer {jwt} refused")), "NO auth=Bearer … refused");
        assert_eq!(scrub(&format!("501 cannot decode {jwt}")), "501 cannot decode …");
        assert_eq!(scrub("Bearer short-token"), "Bearer …");
        assert_eq!(scrub(&format!("[{}]", "A".repeat(40))), "[…]");
    }

    #[test]
    fn ordinary_replies_stay_as_they_are() {
        for text in [
            "535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.namprd00.prod.outlook.com]",
            "Trace ID: 0a1b2c3d-1111-2222-3333-444455556666",
        ] {
            assert_eq!(scrub(text), text);
        }
    }

    #[test]
    fn it_is_one_line_of_at_most_300_characters() {
        assert_eq!(scrub("a\r\nb\t c\u{0}d"), "a b c d");
        let long = scrub(&"wörd ".repeat(200));
        assert_eq!(long.chars().count(), 300);
        assert!(long.ends_with('…'));
    }
}
