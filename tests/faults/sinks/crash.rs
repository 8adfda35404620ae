//! Every kind of receiver at once, each in its own troubles, and a broker that is killed at random: every event arrives, in
//! the order of its log; what a receiver will never take is a dead letter, and nothing else is.

use super::receivers::{self, Receiver};
use super::{dead_letters, shown};
use crate::harness::Broker;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use std::{env, fs};
use tokio::time::{Instant, sleep};

const TENANTS: [&str; 2] = ["acme", "other"];
/// This event of the first tenant is poison to every receiver that can refuse one.
const POISON: u64 = 17;

#[tokio::test(flavor = "multi_thread")]
async fn every_receiver_gets_every_event_in_order_whatever_fails_and_is_killed() {
    let rounds: usize = env::var("KEYFOLD_CRASHES").map_or(8, |text| text.parse().unwrap());
    let receivers = receivers::all().await;
    let mut broker = receivers::broker_before(&receivers);
    broker.run(&[]).await;
    let logs =
        [(TENANTS[0], broker.tenant(TENANTS[0], "alice").await), (TENANTS[1], broker.tenant(TENANTS[1], "bob").await)];
    let poison = event_id(&broker, TENANTS[0], POISON);
    let refusing: Vec<bool> = receivers.iter().map(|receiver| receiver.poison(&poison)).collect();

    for round in 0..rounds {
        receivers.iter().for_each(|receiver| receiver.trouble(round));
        live_until_killed(&mut broker, round).await;
        receivers.iter().for_each(Receiver::heal);
        no_cursor_leads(&broker, &receivers).await;
        broker.run(&[]).await;
        sleep(Duration::from_millis(500)).await;
    }

    for (receiver, refuses) in receivers.iter().zip(refusing) {
        for (tenant, vkey) in &logs {
            let dead = if refuses && *tenant == TENANTS[0] { vec![POISON] } else { Vec::new() };
            let size = delivered(&broker, receiver.name, tenant).await;
            assert_eq!(dead_letters(&broker, receiver.name, tenant).await, dead, "{} {tenant}", receiver.name);
            receiver.check(&broker, (tenant, vkey), size, &dead);
        }
    }
}

/// Things happen in every tenant until the broker is killed in the middle of them.
async fn live_until_killed(broker: &mut Broker, round: usize) {
    let lives = Duration::from_millis(u64::from(300 + random() % 1_500));
    let until = Instant::now() + lives;
    let mut user = 0;
    while Instant::now() < until {
        for tenant in TENANTS {
            broker.admin_ok(&format!("/{tenant}/users"), json!({"id": format!("user-{round}-{user}")})).await;
        }
        user += 1;
        sleep(Duration::from_millis(10)).await;
    }
    broker.kill();
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u16::from_le_bytes(bytes)
}

/// Waits until the sink has everything of the tenant's log; gives the log's size then.
async fn delivered(broker: &Broker, sink: &str, tenant: &str) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let shown = shown(broker, sink, tenant).await;
        if shown["state"] == "paused" {
            broker.admin_ok(&format!("/{tenant}/sinks/{sink}/resume"), json!({})).await;
        }
        if shown["lag_events"] == 0 {
            return shown["size"].as_u64().unwrap();
        }
        assert!(Instant::now() < deadline, "{tenant}: {shown}: {}", broker.log());
        sleep(Duration::from_millis(200)).await;
    }
}

/// Everything below a cursor, as a crash left it, has arrived or is poison.
async fn no_cursor_leads(broker: &Broker, receivers: &[Receiver]) {
    let cursors = "SELECT group_concat(tenant || ' ' || sink || ' ' || next_index, ';') FROM cursors";
    let cursors = broker.sql(cursors).await.unwrap_or_default();
    for cursor in cursors.split(';').filter(|cursor| !cursor.is_empty()) {
        let (owner, next) = cursor.rsplit_once(' ').unwrap();
        let (tenant, sink) = owner.split_once(' ').unwrap();
        let (next, receiver): (u64, _) = (next.parse().unwrap(), receivers.iter().find(|one| one.name == sink));
        let Some(receiver) = receiver else { continue };
        let missing = || {
            let arrived: BTreeSet<u64> = receiver.indices(tenant).into_iter().collect();
            (0..next).find(|index| !arrived.contains(index) && *index != POISON)
        };
        // A collector prints a moment after it has answered.
        let deadline = Instant::now() + Duration::from_secs(5);
        while missing().is_some() && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(missing(), None, "the cursor of {sink} leads in {tenant}'s log: {next}");
    }
}

fn event_id(broker: &Broker, tenant: &str, index: u64) -> String {
    let config = fs::read_to_string(broker.path("keyfold.toml")).unwrap();
    let host = config.lines().find_map(|line| line.strip_prefix("log_host = \"")?.strip_suffix('"')).unwrap();
    format!("{host}/{tenant}#{index}")
}
