//! UIDs as a command names them (RFC 3501 §9, `sequence-set`). Pure.

use crate::domain::Uid;

/// Longest set in a command, in bytes: Exchange takes lines of 10,240 bytes.
pub(in crate::imap) const LONGEST_UID_SET: usize = 8000;

/// Writes ascending UIDs as sets (`3,5:9`) of at most `limit` bytes each.
pub(in crate::imap) fn uid_sets(uids: &[Uid], limit: usize) -> Vec<String> {
    let mut sets: Vec<String> = Vec::new();
    let mut run: Option<(Uid, Uid)> = None;
    let mut write = |(first, last): (Uid, Uid)| {
        let text = if first == last { first.to_string() } else { format!("{first}:{last}") };
        match sets.last_mut() {
            Some(set) if set.len() + text.len() < limit => {
                set.push(',');
                set.push_str(&text);
            }
            _ => sets.push(text),
        }
    };
    for uid in uids {
        run = match run {
            Some((first, last)) if last.checked_add(1) == Some(*uid) => Some((first, *uid)),
            Some(ended) => {
                write(ended);
                Some((*uid, *uid))
            }
            None => Some((*uid, *uid)),
        };
    }
    if let Some(ended) = run {
        write(ended);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_runs_and_stay_short() {
        assert_eq!(uid_sets(&[1, 2, 3, 7, 9, 10], 100), ["1:3,7,9:10"]);
        let odd: Vec<Uid> = (0..5000).map(|n| n * 2 + 1).collect();
        assert!(uid_sets(&odd, 8000).iter().all(|set| set.len() <= 8000));
        assert!(uid_sets(&[], 10).is_empty());
    }
}
