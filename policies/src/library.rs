//! Ready policies, to begin with.

/// A text of the library: the file `policies/library/<name>.cedar`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyPolicies {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// Cedar text with policies whose ids occur in no other file of the library nor in the defaults.
    pub text: &'static str,
}

impl ReadyPolicies {
    /// What it is good for, and whether it stands beside the defaults: the comment that the text begins with.
    #[must_use]
    pub fn description(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix("//"));
        comment.map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

/// Each file by its name, said once.
macro_rules! ready {
    ($($name:literal,)+) => {
        &[$(ReadyPolicies { name: $name, text: include_str!(concat!("../library/", $name, ".cedar")) },)+]
    };
}

/// All texts of the library. Any of them hold together, and with the defaults.
#[must_use]
pub const fn library() -> &'static [ReadyPolicies] {
    ready![
        "newest-generation",
        "attested-devices",
        "two-approvers-for-identity",
        "rules-by-kind",
        "office-hours",
        "country",
        "login-age",
        "help-desk-delay",
        "reporting-line",
    ]
}
