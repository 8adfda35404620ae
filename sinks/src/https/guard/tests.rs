use super::{AddressError, ForbiddenAddress, Guard};
use crate::https::Network;
use reqwest::Url;

const FORBIDDEN: [&str; 44] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    // Other ways to write 127.0.0.1 and 169.254.169.254.
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::808:808]",
    "[::127.0.0.1]",
    "[::]",
    "[::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[ff02::1]",
    "[2002:7f00:1::]",
    "[2001:db8::1]",
];

const PUBLIC: [&str; 11] = [
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "198.20.0.0",
    "[2606:4700::1111]",
    "[::ffff:1.1.1.1]",
    "[64:ff9b::101:101]",
];

fn guard(allow: &[&str]) -> Guard {
    Guard::new(&allow.iter().map(|net| net.parse().unwrap()).collect::<Vec<Network>>())
}

fn check(guard: &Guard, url: &str) -> Result<(), AddressError> {
    guard.check(&Url::parse(url).unwrap())
}

#[test]
fn only_public_addresses_are_allowed_unasked() {
    let guard = guard(&[]);
    for host in FORBIDDEN {
        let url = format!("https://{host}:8088/");
        assert_eq!(check(&guard, &url), Err(AddressError::Forbidden(ForbiddenAddress)), "{host}");
    }
    for host in PUBLIC.into_iter().chain(["siem.example"]) {
        assert_eq!(check(&guard, &format!("https://{host}/")), Ok(()), "{host}");
    }
}

#[test]
fn a_listed_network_is_allowed_and_no_metadata_service_with_it() {
    let guard = guard(&["10.1.0.0/16", "0.0.0.0/1", "128.0.0.0/1", "fc00::/7", "100.100.100.200/32"]);
    for host in ["10.1.2.3", "[::ffff:10.1.2.3]", "[64:ff9b::10.1.2.3]", "169.254.1.1", "[fd00::1]", "100.100.100.200"]
    {
        assert_eq!(check(&guard, &format!("https://{host}/")), Ok(()), "{host}");
    }
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "168.63.129.16", "[fd00:ec2::254]", "[::1]"] {
        assert!(check(&guard, &format!("https://{host}/")).is_err(), "{host}");
    }
}

#[test]
fn clear_text_goes_to_a_literal_loopback_address_that_is_listed_and_nowhere_else() {
    let guard = guard(&["127.0.0.0/8", "::1/128", "10.0.0.0/8"]);
    for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://127.9.9.9/"] {
        assert_eq!(check(&guard, url), Ok(()), "{url}");
    }
    // A name, even this one, is whatever the resolver says.
    for url in ["http://localhost/", "http://siem.example/", "http://10.0.0.1/", "http://1.1.1.1/", "ftp://127.0.0.1/"]
    {
        assert_eq!(check(&guard, url), Err(AddressError::Insecure), "{url}");
    }
    assert!(matches!(check(&self::guard(&[]), "http://127.0.0.1/"), Err(AddressError::Forbidden(_))));
    assert_eq!(check(&guard, "https://user:password@siem.example/"), Err(AddressError::Credentials));
    assert_eq!(check(&guard, "data:text/plain,x"), Err(AddressError::NoUrl));
}
