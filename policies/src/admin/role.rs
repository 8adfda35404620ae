//! The roles that administrators have.

use super::words::words;

words! {
    /// What somebody is appointed to, for one tenant or for all. The words are stable.
    enum Role else UnknownRole = "there is no such role";
    /// Appoints administrators and answers for all but the approval of restores.
    Owner = "owner",
    /// Runs keys, sinks and policies.
    SecurityOfficer = "security_officer",
    /// Approves or denies restores.
    Approver = "approver",
    /// Makes enrolment codes.
    HelpDesk = "help_desk",
    /// Reads everything and exports evidence.
    Auditor = "auditor",
    /// Approves and revokes when nobody else can; using it is an alarm.
    BreakGlass = "break_glass",
}
