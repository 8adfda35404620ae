//! Table `restores`: each asks once for some records, to one key that one device made for it.

use super::locks::Holder;
use super::{Connection, StoreError, column, hash32, list, parsed, placeholders, stored_words};
use protocol::approval::MatchCode;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

stored_words! {
    /// Where a restore stands. What it still waits for is never believed from here: the signatures say so.
    RestoreState {
        /// Waits for people or time.
        Pending = "pending",
        /// May be released.
        Approved = "approved",
        /// One request is at the provider.
        Releasing = "releasing",
        /// Sealed; kept for fetching again until acknowledged or expired.
        Released = "released",
        /// The device has it; over.
        Acknowledged = "acknowledged",
        /// It can never be released; over.
        Failed = "failed",
        /// Nobody came in time; over.
        Expired = "expired",
        /// Taken away; over.
        Revoked = "revoked",
        /// The user stopped it; over.
        Vetoed = "vetoed",
        /// An approver said no; over.
        Rejected = "rejected",
    }
}

impl RestoreState {
    /// Whether it can still be released, so that it can be approved, rejected and stopped.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Approved | Self::Releasing => true,
            Self::Released
            | Self::Acknowledged
            | Self::Failed
            | Self::Expired
            | Self::Revoked
            | Self::Vetoed
            | Self::Rejected => false,
        }
    }
}

/// One restore.
#[derive(Debug, Clone)]
pub struct Restore {
    /// Made by the broker.
    pub id: Uuid,
    /// Whose.
    pub tenant: String,
    /// Whose within the tenant.
    pub user: String,
    /// The device that asked, and alone may have the answer.
    pub device: Uuid,
    /// The records asked for.
    pub records: Vec<Uuid>,
    /// The X-Wing public key that the device made for this restore.
    pub receive_key: Vec<u8>,
    /// The JWS nonce of the request that opened it.
    pub nonce: String,
    /// What the device said why.
    pub reason: String,
    /// The policy that it was asked under.
    pub policy_digest: [u8; 32],
    /// Under which circumstances it was asked for: a sealed document.
    pub circumstances: Vec<u8>,
    /// What approvals and releases name (protocol, section 6).
    pub transcript: [u8; 32],
    /// What its user types on another device to approve there.
    pub match_code: MatchCode,
    /// How often another device came with another code.
    pub wrong_codes: u32,
    /// SHA-256 of the secret in the link by which the user can stop it, where there is a link.
    pub veto_hash: Option<[u8; 32]>,
    /// Where it stands.
    pub state: RestoreState,
    /// The release under way: its intent has no outcome yet. Outlives a revocation, which may come in the middle.
    pub flight: Option<Uuid>,
    /// The sealed answer, from release to acknowledgement.
    pub answer: Option<Vec<u8>>,
    /// The leaf that says it was released.
    pub leaf_index: Option<u64>,
    /// Unix milliseconds; no release before.
    pub not_before: i64,
    /// Unix milliseconds; after it nothing can be done with it.
    pub expires_at: i64,
    /// Unix milliseconds of the last change of state.
    pub changed_at: i64,
}

impl Restore {
    /// Whose quota it counts against.
    #[must_use]
    pub fn holder(&self) -> Holder {
        Holder::user(&self.tenant, &self.user)
    }
}

const COLUMNS: &str = "id, tenant, user_id, device, records, receive_key, nonce, reason, policy_digest, circumstances, transcript, \
                       match_code, wrong_codes, veto_hash, state, flight, answer, leaf_index, not_before, expires_at, changed_at";

fn read(row: &AnyRow) -> Result<Restore, StoreError> {
    let records: String = column(row, "records")?;
    Ok(Restore {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        user: column(row, "user_id")?,
        device: parsed(row, "device")?,
        records: serde_json::from_str(&records).map_err(|_| StoreError::Corrupt { column: "records" })?,
        receive_key: column(row, "receive_key")?,
        nonce: column(row, "nonce")?,
        reason: column(row, "reason")?,
        policy_digest: hash32(row, "policy_digest")?,
        circumstances: column(row, "circumstances")?,
        transcript: hash32(row, "transcript")?,
        match_code: parsed(row, "match_code")?,
        wrong_codes: u32::try_from(column::<i64>(row, "wrong_codes")?)
            .map_err(|_| StoreError::Corrupt { column: "wrong_codes" })?,
        veto_hash: column::<Option<Vec<u8>>>(row, "veto_hash")?
            .map(Vec::try_into)
            .transpose()
            .map_err(|_| StoreError::Corrupt { column: "veto_hash" })?,
        state: parsed(row, "state")?,
        flight: column::<Option<String>>(row, "flight")?
            .map(|flight| flight.parse())
            .transpose()
            .map_err(|_| StoreError::Corrupt { column: "flight" })?,
        answer: column(row, "answer")?,
        leaf_index: column::<Option<i64>>(row, "leaf_index")?.map(i64::unsigned_abs),
        not_before: column(row, "not_before")?,
        expires_at: column(row, "expires_at")?,
        changed_at: column(row, "changed_at")?,
    })
}

pub(crate) async fn find(db: &mut Connection, id: Uuid) -> Result<Option<Restore>, StoreError> {
    Ok(find_all(db, &[id]).await?.pop())
}

pub(crate) async fn find_all(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<Restore>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM restores WHERE id IN {}", list(ids.len()));
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// The restore that the link with this secret's hash can stop, or could while it was open.
pub(crate) async fn of_veto(db: &mut Connection, hash: &[u8; 32]) -> Result<Option<Restore>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM restores WHERE veto_hash = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(&hash[..]).fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// A user's restores that could still be stopped, or were released and not yet acknowledged; the oldest first.
pub(crate) async fn open_of_user(
    db: &mut Connection,
    (tenant, user): (&str, &str),
    limit: i64,
) -> Result<Vec<Restore>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM restores WHERE tenant = $1 AND user_id = $2
           AND state IN ('pending', 'approved', 'releasing', 'released') ORDER BY id LIMIT $3"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(user).bind(limit);
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// Which of a tenant's restores to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Only this user's.
    pub user: Option<&'a str>,
    /// Only this device's.
    pub device: Option<Uuid>,
    /// Only those that stand here.
    pub state: Option<RestoreState>,
    /// Backwards from the newest: ids grow with time.
    pub newest_first: bool,
}

/// The tenant's restores that are wanted, after the one with the id `after` where it is not empty.
pub(crate) async fn page(
    db: &mut Connection,
    tenant: &str,
    wanted: Wanted<'_>,
    (after, limit): (&str, i64),
) -> Result<Vec<Restore>, StoreError> {
    let (user, device) = (wanted.user.map(str::to_owned), wanted.device.map(|device| device.to_string()));
    let state = wanted.state.map(|state| state.as_str().to_owned());
    let (beyond, order) = if wanted.newest_first { ("id < ?", "DESC") } else { ("id > ?", "ASC") };
    let after = Some(after.to_owned()).filter(|after| !after.is_empty());
    let filters = [("user_id = ?", user), ("device = ?", device), ("state = ?", state), (beyond, after)];
    let filters: Vec<_> = filters.into_iter().filter_map(|(sql, value)| Some((sql, value?))).collect();
    let conditions: String = filters.iter().map(|(sql, _)| format!(" AND {sql}")).collect();
    let sql = format!("SELECT {COLUMNS} FROM restores WHERE tenant = ?{conditions} ORDER BY id {order} LIMIT ?");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant);
    let query = filters.into_iter().fold(query, |query, (_, value)| query.bind(value));
    query.bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

/// Restores in `state` whose time ran out before `now`.
pub(crate) async fn expired(db: &mut Connection, state: RestoreState, now: i64) -> Result<Vec<Restore>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM restores WHERE state = $1 AND expires_at < $2 ORDER BY id LIMIT 256");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(state.as_str()).bind(now);
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// Restores with an intent that has had no outcome since `before`.
pub(crate) async fn in_flight_since(db: &mut Connection, before: i64) -> Result<Vec<Restore>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM restores WHERE flight IS NOT NULL AND changed_at < $1 ORDER BY id LIMIT 256");
    sqlx::query(AssertSqlSafe(sql)).bind(before).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert_all(db: &mut Connection, restores: &[Restore]) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO restores ({COLUMNS}) VALUES {}", placeholders(restores.len(), 21));
    let query = restores.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, restore| {
        let records = serde_json::to_string(&restore.records).expect("invariant: a list of UUIDs serialises");
        query
            .bind(restore.id.to_string())
            .bind(&restore.tenant)
            .bind(&restore.user)
            .bind(restore.device.to_string())
            .bind(records)
            .bind(&restore.receive_key[..])
            .bind(&restore.nonce)
            .bind(&restore.reason)
            .bind(&restore.policy_digest[..])
            .bind(&restore.circumstances[..])
            .bind(&restore.transcript[..])
            .bind(restore.match_code.to_string())
            .bind(i64::from(restore.wrong_codes))
            .bind(restore.veto_hash.as_ref().map(|hash| &hash[..]))
            .bind(restore.state.as_str())
            .bind(restore.flight.map(|flight| flight.to_string()))
            .bind(restore.answer.as_deref())
            .bind(restore.leaf_index.map(u64::cast_signed))
            .bind(restore.not_before)
            .bind(restore.expires_at)
            .bind(restore.changed_at)
    });
    query.execute(db).await?;
    Ok(())
}

/// Writes how each stands: state, flight, answer, leaf, expiry, time of change and wrong codes; the rest never changes.
pub(crate) async fn update_all(db: &mut Connection, restores: &[Restore]) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE restores SET state = v.column2, flight = v.column3, answer = v.column4, leaf_index = v.column5,
           expires_at = v.column6, changed_at = v.column7, wrong_codes = v.column8
         FROM (VALUES {}) AS v WHERE restores.id = v.column1",
        placeholders(restores.len(), 8)
    );
    let query = restores.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, restore| {
        query
            .bind(restore.id.to_string())
            .bind(restore.state.as_str())
            .bind(restore.flight.map(|flight| flight.to_string()))
            .bind(restore.answer.as_deref())
            .bind(restore.leaf_index.map(u64::cast_signed))
            .bind(restore.expires_at)
            .bind(restore.changed_at)
            .bind(i64::from(restore.wrong_codes))
    });
    query.execute(db).await?;
    Ok(())
}

/// A tenant's restores that are not over, each with the records it asks for.
pub(crate) async fn open_of(db: &mut Connection, tenant: &str) -> Result<Vec<(Uuid, Vec<Uuid>)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM restores
         WHERE tenant = $1 AND state IN ('pending', 'approved', 'releasing', 'released') ORDER BY id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).fetch_all(db).await?;
    rows.iter().map(|row| read(row).map(|restore| (restore.id, restore.records))).collect()
}

/// Whose open restores a revocation ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'a> {
    Tenant,
    User(&'a str),
    Device(Uuid),
    Itself(Uuid),
}

/// How many restores of each of these users are not over; nothing of those who have none.
pub(crate) async fn count_open(db: &mut Connection, users: &[&Holder]) -> Result<Vec<(Holder, u32)>, StoreError> {
    let sql = format!(
        "SELECT tenant, user_id, COUNT(*) AS open FROM restores
         WHERE state IN ('pending', 'approved', 'releasing', 'released') AND (tenant, user_id) IN (VALUES {})
         GROUP BY tenant, user_id",
        placeholders(users.len(), 2)
    );
    let query =
        users.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, user| query.bind(&user.tenant).bind(&user.user));
    let count = |row: &AnyRow| {
        let open = u32::try_from(column::<i64>(row, "open")?).map_err(|_| StoreError::Corrupt { column: "open" })?;
        Ok((Holder { tenant: column(row, "tenant")?, user: column(row, "user_id")? }, open))
    };
    query.fetch_all(db).await?.iter().map(count).collect()
}

/// Ends every restore of `owner` that is not over, and forgets their answers. Returns how many.
pub(crate) async fn revoke_of(
    db: &mut Connection,
    tenant: &str,
    owner: Owner<'_>,
    now: i64,
) -> Result<u64, StoreError> {
    let (condition, value) = match owner {
        Owner::Tenant => ("$3 = ''", String::new()),
        Owner::User(user) => ("user_id = $3", user.to_owned()),
        Owner::Device(device) => ("device = $3", device.to_string()),
        Owner::Itself(id) => ("id = $3", id.to_string()),
    };
    let sql = format!(
        "UPDATE restores SET state = 'revoked', answer = NULL, changed_at = $1
         WHERE tenant = $2 AND {condition} AND state IN ('pending', 'approved', 'releasing', 'released')"
    );
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(now).bind(tenant).bind(value).execute(db).await?.rows_affected())
}
