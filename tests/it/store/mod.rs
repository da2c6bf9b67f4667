//! What is on the disk: order of syncs, power cuts, compaction, lost state, keys.

pub mod compaction;
pub mod durability;
pub mod lost_state;
pub mod master_key;
pub mod power;
