//! A break-glass key is used: everybody is told, before it does anything.

use super::event;
use super::told::told;
use crate::broker::Broker;
use crate::caller::{AdminCaller, Hand};
use crate::commit::{Proposal, Rare};
use crate::error::Error;
use crate::roster::Admin;
use audit::event::Kind;
use notices::Notice;
use policies::admin::{Act, Role, may};

/// Tells it where it is by that role alone that the caller may do this.
pub async fn tell(broker: &Broker, caller: &AdminCaller, act: Act, tenant: Option<&str>) -> Result<(), Error> {
    let Hand::Person(person) = &caller.hand else { return Ok(()) };
    let tenant = tenant.unwrap_or(&person.admin.tenant);
    if !act.needs_passkey() || may(&other_roles(&person.admin), act) {
        return Ok(());
    }
    let used = event(Kind::AdminBrokeGlass, &person.admin, &caller.source).actor(&*caller.actor).ticket(act.as_str());
    let page = format!("{}/console/tenants/{tenant}/events", broker.public_url);
    let notice = Notice::BreakGlassUsed { key: caller.actor.clone(), act: act.as_str().into(), page };
    let told = told(broker, tenant, notice).await?;
    let proposal = Proposal::new(tenant, Rare::Note, used, Kind::AdminDenied).telling(told);
    broker.committer.commit_rare(proposal).await?;
    Ok(())
}

fn other_roles(admin: &Admin) -> Vec<Role> {
    admin.roles.iter().copied().filter(|role| *role != Role::BreakGlass).collect()
}
