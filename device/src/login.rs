use crate::restore::{Pending, RestoreRequest};
use crate::{Device, Error};
use protocol::login::{self, IdToken};
use protocol::sealing::OpeningKey;

/// A login of the device's user that goes with one restore: it has the key that will receive that restore's answer.
pub struct Login {
    receive: OpeningKey,
    nonce: String,
}

impl Login {
    /// What the company's issuer is to put into the ID token as `nonce`.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

impl Device {
    /// Makes the key of a restore that is to be asked for once the user has logged in. The app logs the user in at the
    /// company's issuer as it always does, with this nonce and a `max_age`, which makes the issuer say when the login was.
    #[must_use]
    pub fn begin_login(&self) -> Login {
        let receive = OpeningKey::generate();
        Login { nonce: login::nonce(self.id(), receive.public()), receive }
    }

    /// Asks as [`Self::restore`] does, with the ID token of a login that was made for it. One login is good for one restore.
    ///
    /// # Errors
    /// [`Error::Refused`] with `login_invalid` where the login does not hold, or any other [`Error`].
    pub async fn restore_after(
        &mut self,
        login: &Login,
        id_token: IdToken,
        asked: RestoreRequest,
    ) -> Result<Pending<'_>, Error> {
        self.open(asked, &login.receive, Some(id_token)).await
    }
}
