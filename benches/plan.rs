//! The planner: what is stored of a folder compared with what the server lists. `cargo bench --bench plan`.
//!
//! The floor beside it reads both sides once: what any comparison costs at least.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stafette::domain::{Flags, MessageId, Timestamp, Uid};
use stafette::imap::{Known, ListedMessage, Listing, plan};
use stafette::store::UidEntry;
use std::collections::BTreeSet;
use std::hint::black_box;

fn stored(count: Uid) -> Vec<UidEntry> {
    let flags_digest = Flags::default().digest();
    (1..=count)
        .map(|uid| UidEntry { uid, message: MessageId::at(Timestamp(i64::from(uid))), flags_digest })
        .collect()
}

/// What a server lists of which every `skip`th message is new.
fn listed(count: Uid, skip: Uid) -> Vec<ListedMessage> {
    let step = |uid: Uid| if uid.is_multiple_of(skip) { uid + count } else { uid };
    let uids: BTreeSet<Uid> = (1..=count).map(step).collect();
    uids.into_iter().map(|uid| ListedMessage { uid, flags: Some(Flags::default()), size: None }).collect()
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for count in [1_000, 100_000] {
        group.throughput(Throughput::Elements(u64::from(count)));
        let (entries, quarantined) = (stored(count), BTreeSet::new());
        for (name, messages) in [("in step", listed(count, Uid::MAX)), ("a tenth is new", listed(count, 10))]
        {
            let known = Known {
                entries: &entries,
                quarantined: &quarantined,
                wanted: None,
                deletion_confirmed: true,
            };
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| plan(black_box(known), Listing::of(black_box(&messages), Some(1))));
            });
        }
        let messages = listed(count, Uid::MAX);
        group.bench_function(BenchmarkId::new("floor", count), |bencher| {
            bencher.iter(|| {
                let pairs = black_box(&entries).iter().zip(black_box(&messages));
                pairs.filter(|(entry, listed)| entry.uid == listed.uid).count()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
