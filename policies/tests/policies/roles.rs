//! What administrators may do, against the table in the README.

use keyfold_policies::Role;
use keyfold_policies::admin::{Act, may};

/// The rows of the table: an act, then its cells.
fn rows() -> Vec<(Act, Vec<&'static str>)> {
    let (_, table) = include_str!("../../README.md").split_once("| API token |\n|---").expect("the table of acts");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].trim_matches('`').parse().expect("an act"), cells[1..].to_vec())).collect()
}

#[test]
fn the_table_of_the_readme_is_true() {
    let rows = rows();
    assert_eq!(rows.iter().map(|(act, _)| *act).collect::<Vec<_>>(), Act::ALL);
    let header = "| act | owner | security_officer | approver | help_desk | auditor | break_glass | passkey |";
    assert!(include_str!("../../README.md").contains(header), "the columns are the roles in their order");
    for (act, cells) in rows {
        for (role, cell) in Role::ALL.into_iter().zip(&cells) {
            assert_eq!(may(&[role], act), *cell == "yes", "{role} {act}");
        }
        assert_eq!(act.needs_passkey(), cells[6] == "each time", "{act}");
        assert_eq!(act.is_for_people(), cells[7] == "never", "{act}");
    }
}

#[test]
fn duties_are_apart() {
    for role in [Role::Owner, Role::SecurityOfficer, Role::HelpDesk, Role::Auditor] {
        assert!(!may(&[role], Act::RestoresApprove), "{role}");
    }
    assert!(may(&[Role::Owner, Role::Approver], Act::RestoresApprove), "roles add up");
    let changes = |role| Act::ALL.into_iter().filter(move |act| may(&[role], *act) && !act.reads_only());
    assert_eq!(changes(Role::Auditor).count(), 0);
    assert_eq!(changes(Role::HelpDesk).collect::<Vec<_>>(), [Act::CodesWrite]);
    assert_eq!(
        changes(Role::BreakGlass).collect::<Vec<_>>(),
        [Act::RestoresApprove, Act::RestoresLock, Act::AccessRevoke]
    );
    assert!(!may(&[], Act::TenantsRead));
}

#[test]
fn words_are_words_everywhere() {
    for act in Act::ALL {
        let word = format!("\"{act}\"");
        assert_eq!(serde_json::to_string(&act).unwrap(), word);
        assert_eq!(serde_json::from_str::<Act>(&word).unwrap(), act);
    }
    assert_eq!(serde_json::to_string(&Role::SecurityOfficer).unwrap(), "\"security_officer\"");
    assert_eq!("help_desk".parse(), Ok(Role::HelpDesk));
    assert!(serde_json::from_str::<Act>("\"keks:shred\"").is_err());
    assert!(serde_json::from_str::<Role>("\"root\"").is_err());
}
