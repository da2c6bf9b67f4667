//! Named points that tests can make panic, fail, wait or die. Without the Cargo feature `faults` every
//! function here is empty. With it, `STAFETTE_FAULTS` holds `point=action@n` separated by commas: the
//! action happens once, when the point is passed for the n-th time (1 if left out). Actions: `panic`,
//! `fail`, `kill` (SIGKILL to ourselves), `exit`. `sync=skip` leaves the syncs out.

#[cfg(feature = "faults")]
mod enabled {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, OnceLock, PoisonError};

    struct Point {
        action: String,
        passes_left: u64,
    }

    fn points() -> &'static Mutex<BTreeMap<String, Vec<Point>>> {
        static POINTS: OnceLock<Mutex<BTreeMap<String, Vec<Point>>>> = OnceLock::new();
        POINTS.get_or_init(|| {
            let mut points: BTreeMap<String, Vec<Point>> = BTreeMap::new();
            let text = std::env::var("STAFETTE_FAULTS").unwrap_or_default();
            for (name, rest) in text.split(',').filter_map(|entry| entry.split_once('=')) {
                let (action, passes) = rest.split_once('@').unwrap_or((rest, "1"));
                let point = Point { action: action.into(), passes_left: passes.parse().unwrap_or(1) };
                points.entry(name.into()).or_default().push(point);
            }
            Mutex::new(points)
        })
    }

    pub(super) fn take(name: &str) -> Option<String> {
        let mut points = points().lock().unwrap_or_else(PoisonError::into_inner);
        for point in points.get_mut(name)? {
            if point.passes_left > 0 {
                point.passes_left -= 1;
                if point.passes_left == 0 {
                    return Some(point.action.clone());
                }
            }
        }
        None
    }

    pub(super) fn skips_syncs() -> bool {
        static SKIPS: OnceLock<bool> = OnceLock::new();
        *SKIPS.get_or_init(|| std::env::var("STAFETTE_FAULTS").is_ok_and(|text| text.contains("sync=skip")))
    }

    pub(super) fn act(name: &str, action: &str) -> bool {
        match action {
            "panic" => panic!("injected panic at {name}"),
            "kill" => {
                if let Some(own) =
                    rustix::process::Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0))
                {
                    let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
                }
                true
            }
            "exit" => std::process::exit(70),
            _ => true,
        }
    }
}

/// Passes a point in a store operation; may answer an injected I/O error.
///
/// # Errors
/// An injected one, if a test asked for it.
pub(crate) fn fail(name: &str) -> std::io::Result<()> {
    #[cfg(feature = "faults")]
    if let Some(action) = enabled::take(name)
        && enabled::act(name, &action)
    {
        return Err(std::io::Error::other("injected"));
    }
    let _ = name;
    Ok(())
}

/// Passes a point in an actor; may panic if a test asked for it.
pub(crate) fn point(name: &str, mailbox: &crate::domain::MailboxId) {
    #[cfg(feature = "faults")]
    for name in [name, &format!("{name}:{mailbox}")] {
        if let Some(action) = enabled::take(name) {
            enabled::act(name, &action);
        }
    }
    let _ = (name, mailbox);
}

/// Passes a point with one message (`name:uid`); may panic if a test asked for it.
pub(crate) fn message(name: &str, uid: crate::domain::Uid) {
    #[cfg(feature = "faults")]
    if let name = format!("{name}:{uid}")
        && let Some(action) = enabled::take(&name)
    {
        enabled::act(&name, &action);
    }
    let _ = (name, uid);
}

/// Whether a test asked to leave the syncs out, to prove that it would notice.
pub(crate) fn skips_syncs() -> bool {
    #[cfg(feature = "faults")]
    return enabled::skips_syncs();
    #[cfg(not(feature = "faults"))]
    false
}
