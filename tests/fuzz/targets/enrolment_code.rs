//! Enrolment codes as people type them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::enrolment::EnrolmentCode;

// A code that is accepted is the one that was handed out, but for how it is written.
fuzz_target!(|typed: &str| {
    if let Ok(code) = typed.parse::<EnrolmentCode>() {
        assert!(bare(&code.reveal()).ends_with(&bare(typed)));
        assert_eq!(code.reveal().parse(), Ok(code));
    }
});

fn bare(typed: &str) -> String {
    let typed = typed.to_ascii_uppercase().replace(['-', ' '], "");
    typed.replace('O', "0").replace(['I', 'L'], "1")
}
