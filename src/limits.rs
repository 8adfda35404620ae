//! How often a device and a tenant may ask, and how often somebody unproven may fail.

use crate::error::Error;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde::Deserialize;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use uuid::Uuid;

/// Requests per second, each with a burst of ten seconds' worth.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// For each device.
    pub device_per_second: NonZeroU32,
    /// For all devices of a tenant together.
    pub tenant_per_second: NonZeroU32,
    /// Pages for visitors without a login, for one address (IPv6: one /64), a minute.
    pub visits_per_minute: NonZeroU32,
    /// Failed proofs from one address (IPv6: one /64), a minute.
    pub failures_per_minute: NonZeroU32,
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |n| NonZeroU32::new(n).expect("invariant: these constants are not 0");
        Self {
            device_per_second: rate(5),
            tenant_per_second: rate(500),
            visits_per_minute: rate(60),
            failures_per_minute: rate(30),
        }
    }
}

/// Counts requests in memory.
#[derive(Debug)]
pub struct Limits {
    devices: DefaultKeyedRateLimiter<Uuid>,
    tenants: DefaultKeyedRateLimiter<String>,
    visits: DefaultKeyedRateLimiter<IpAddr>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
}

impl Limits {
    /// Starts with every budget full.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let per_second = |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_mul(TEN));
        Self {
            devices: RateLimiter::keyed(per_second(rates.device_per_second)),
            tenants: RateLimiter::keyed(per_second(rates.tenant_per_second)),
            visits: RateLimiter::keyed(Quota::per_minute(rates.visits_per_minute)),
            failures: RateLimiter::keyed(Quota::per_minute(rates.failures_per_minute)),
        }
    }

    /// Counts one request of a proven device.
    pub fn count(&self, tenant: &str, device: Uuid) -> Result<(), Error> {
        take(&self.devices, &device)?;
        take(&self.tenants, &tenant.to_owned())
    }

    /// Counts a page for somebody unproven.
    pub fn count_visit(&self, from: IpAddr) -> Result<(), Error> {
        take(&self.visits, &network(from))
    }

    /// Counts a failed proof; the answer to it once there are too many.
    pub fn count_failure(&self, from: IpAddr) -> Result<(), Error> {
        take(&self.failures, &network(from))
    }

    /// Forgets whoever has their whole budget back.
    pub fn forget_idle(&self) {
        self.devices.retain_recent();
        self.tenants.retain_recent();
        self.visits.retain_recent();
        self.failures.retain_recent();
    }
}

/// Whoever has one IPv6 address has a whole /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

const TEN: NonZeroU32 = NonZeroU32::new(10).expect("10 is not 0");

fn take<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Error> {
    limiter.check_key(key).map_err(|not_until| Error::RateLimited {
        retry_after: not_until.wait_time_from(DefaultClock::default().now()),
    })
}

#[cfg(test)]
mod tests {
    use super::network;
    use std::net::IpAddr;

    #[test]
    fn a_network_counts_as_one() {
        let of = |text: &str| network(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
