//! What one decision costs: `cargo bench -p keyfold-policies`.

use keyfold_policies::{
    Action, Circumstances, DeviceFacts, Facts, PolicySet, RecordFacts, TenantFacts, UserFacts, decide,
};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 100_000;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figure")]
fn main() {
    let policies = PolicySet::default_set();
    let record = RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true };
    for count in [1, 4] {
        let records = vec![record; count];
        let facts = restore(&records);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            assert!(decide(&policies, Action::Restore, black_box(&facts)).allowed);
        }
        let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        println!("restore of {count} record(s): {micros:.1} microseconds a decision");
    }
}

fn restore<'a>(records: &'a [RecordFacts<'a>]) -> Facts<'a> {
    Facts {
        tenant: TenantFacts { id: "acme", allows_unattested_days: Some(7) },
        user: UserFacts { id: "u-1", active: true, managers: &[] },
        device: DeviceFacts {
            id: "d-1",
            user: "u-1",
            active: true,
            attested: false,
            enrolled_by_help_desk: false,
            enrolled_at: 1_700_000_000,
        },
        records,
        circumstances: Circumstances::at(1_700_100_000),
    }
}
