use super::Question;
use crate::policy_set::SCHEMA;
use crate::{
    Action, ApprovalFacts, ApproverFacts, Circumstances, DeviceFacts, Facts, RecordFacts, Role, TenantFacts, UserFacts,
};
use cedar_policy::{Entities, Request, Schema};

const USER: UserFacts = UserFacts { id: "u-1", active: true, managers: &["u-2", "u-3"] };
const DEVICE: DeviceFacts =
    DeviceFacts { id: "d-1", user: "u-1", active: true, attested: true, enrolled_by_help_desk: false, enrolled_at: 0 };

fn tenants() -> [TenantFacts<'static>; 2] {
    [None, Some(7)].map(|days| TenantFacts { id: "acme", allows_unattested_days: days })
}

fn circumstances() -> [Circumstances<'static>; 2] {
    let plain = Circumstances::at(1);
    [plain, Circumstances { country: Some("CH"), login_age_seconds: Some(5), ..plain }]
}

/// Cedar checks entities and requests against the schema here, as it does not for a decision.
fn assert_fits(question: Question) {
    let schema: Schema = SCHEMA.parse().unwrap();
    let Question { entities, requests } = question;
    Entities::from_entities(entities, Some(&schema)).unwrap();
    let [request] = requests.as_slice() else { panic!("one request") };
    let (principal, resource) = (request.principal().unwrap(), request.resource().unwrap());
    let (action, context) = (request.action().unwrap(), request.context().unwrap());
    Request::new(principal.clone(), action.clone(), resource.clone(), context.clone(), Some(&schema)).unwrap();
}

#[test]
fn is_asked_in_the_terms_of_the_schema() {
    let records = &[RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true }];
    for (tenant, circumstances) in tenants().into_iter().zip(circumstances()) {
        for action in [Action::Enrol, Action::Wrap, Action::Restore] {
            let facts = Facts { tenant, user: USER, device: DEVICE, records, circumstances };
            assert_fits(Question::new(action, &facts).unwrap());
        }
    }
}

#[test]
fn approvals_are_asked_in_the_terms_of_the_schema() {
    let account = UserFacts { id: "u-9", ..USER };
    let roles = &[Role::Approver, Role::BreakGlass];
    let approvers = [
        ApproverFacts::Person { id: "a-1", account: None, roles: &[] },
        ApproverFacts::Person { id: "a-1", account: Some(account), roles },
        ApproverFacts::Person { id: "a-1", account: Some(USER), roles },
        ApproverFacts::Device(DeviceFacts { id: "d-2", ..DEVICE }),
        ApproverFacts::Device(DEVICE),
    ];
    for (tenant, circumstances) in tenants().into_iter().zip(circumstances()) {
        for approver in approvers {
            let facts =
                ApprovalFacts { tenant, user: USER, device: DEVICE, kinds: &["identity"], approver, circumstances };
            assert_fits(Question::of_approval(&facts).unwrap());
        }
    }
}
