use crate::taxonomy::{Action, Object};

/// The activity that no enumeration has a number for; `activity_name` then says what it was.
pub(super) const OTHER: u32 = 99;

/// An event class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Event Log Activity.
    EventLogActivity,
    /// Detection Finding.
    DetectionFinding,
    /// Account Change.
    AccountChange,
    /// Entity Management.
    EntityManagement,
    /// API Activity.
    ApiActivity,
}

impl Class {
    pub(super) fn of(object: Object) -> Self {
        match object {
            Object::Record | Object::Restore | Object::Rewrap | Object::Token => Self::ApiActivity,
            Object::Kek | Object::Tenant | Object::Policy | Object::Device | Object::EnrolmentCode => {
                Self::EntityManagement
            }
            Object::User => Self::AccountChange,
            Object::Log => Self::EventLogActivity,
            Object::Finding => Self::DetectionFinding,
        }
    }

    /// `class_uid`; its first digit is the category.
    pub(super) fn uid(self) -> u32 {
        match self {
            Self::EventLogActivity => 1008,
            Self::DetectionFinding => 2004,
            Self::AccountChange => 3001,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
        }
    }

    /// `activity_id`, which each class numbers in its own way.
    pub(super) fn activity(self, action: Action) -> u32 {
        let numbered: &[(Action, u32)] = match self {
            Self::EventLogActivity => {
                &[(Action::Export, 3), (Action::Start, 6), (Action::Enable, 9), (Action::Disable, 10)]
            }
            Self::DetectionFinding => &[(Action::Create, 1)],
            Self::AccountChange => &[(Action::Create, 1), (Action::Disable, 5), (Action::Delete, 6)],
            Self::EntityManagement => &[
                (Action::Create, 1),
                (Action::Read, 2),
                (Action::Update, 3),
                (Action::Delete, 4),
                (Action::Enroll, 6),
                (Action::Unenroll, 7),
                (Action::Enable, 8),
                (Action::Disable, 9),
                (Action::Activate, 10),
                (Action::Deactivate, 11),
                (Action::Suspend, 12),
                (Action::Resume, 13),
            ],
            Self::ApiActivity => &[(Action::Create, 1), (Action::Read, 2), (Action::Update, 3), (Action::Delete, 4)],
        };
        numbered.iter().find(|(numbered, _)| *numbered == action).map_or(OTHER, |(_, id)| *id)
    }
}
