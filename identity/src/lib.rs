//! Who a person is: passkeys, and single sign-on by OpenID Connect. No database, and no clock: `now` is an argument.

pub mod oidc;
pub mod passkey;
