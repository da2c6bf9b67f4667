//! How often a campaign of kills goes round, and its randomness, which a failure names so that it can be repeated.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// `STAFETTE_ROUNDS` for all campaigns; else what keeps the whole suite short.
pub fn rounds(usual: usize) -> usize {
    std::env::var("STAFETTE_ROUNDS").ok().map_or(usual, |text| text.parse().unwrap())
}

/// Seeded anew in every run, or by `STAFETTE_SEED`.
pub fn randomness(campaign: &str) -> StdRng {
    let given = std::env::var("STAFETTE_SEED").ok().map(|text| text.parse().unwrap());
    let seed = given.unwrap_or_else(rand::random::<u64>);
    println!("{campaign}: STAFETTE_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
