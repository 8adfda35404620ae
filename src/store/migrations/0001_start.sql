-- One SQL text for SQLite and PostgreSQL: TEXT, BIGINT and BLOB (BYTEA there) only. Times are unix milliseconds.

CREATE TABLE tenants (
  id               TEXT   NOT NULL PRIMARY KEY,
  name             TEXT   NOT NULL,
  state            TEXT   NOT NULL,
  kek              TEXT,
  second_kek       TEXT,
  standby_kek      TEXT,
  unattested_days  BIGINT,
  policy           BIGINT,
  created_at       BIGINT NOT NULL
);

-- Every version of a tenant's policies, in documents that only the broker can write. `tenants.policy` is the one in force;
-- the log says so too.
CREATE TABLE policy_versions (
  tenant           TEXT   NOT NULL,
  version          BIGINT NOT NULL,
  revision         BIGINT NOT NULL,
  state            TEXT   NOT NULL,
  sealed           BLOB   NOT NULL,
  PRIMARY KEY (tenant, version)
);
CREATE INDEX policy_versions_in_state ON policy_versions (state);

CREATE TABLE keks (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  provider         TEXT   NOT NULL,
  key_name         TEXT   NOT NULL,
  version          BIGINT NOT NULL,
  state            TEXT   NOT NULL,
  canary           BLOB   NOT NULL,
  canary_version   TEXT   NOT NULL,
  created_at       BIGINT NOT NULL
);
CREATE INDEX keks_of_tenant ON keks (tenant, id);
CREATE UNIQUE INDEX keks_of_key ON keks (provider, key_name);

-- What is known of a person is in the sealed document, which only the broker can write.
CREATE TABLE users (
  tenant           TEXT   NOT NULL,
  id               TEXT   NOT NULL,
  state            TEXT   NOT NULL,
  version          BIGINT NOT NULL,
  sealed           BLOB   NOT NULL,
  created_at       BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);

-- What a device is, and whose, is in the sealed document; the columns beside it serve to find it. Its state can only take
-- away.
CREATE TABLE devices (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  thumbprint       BLOB   NOT NULL,
  state            TEXT   NOT NULL,
  sealed           BLOB   NOT NULL
);
CREATE UNIQUE INDEX devices_of_key ON devices (tenant, thumbprint);
CREATE INDEX devices_of_user ON devices (tenant, user_id, id);

-- People and tokens that administer. What they may do is in the sealed document, which only the broker can write; the
-- columns beside it serve to find it.
CREATE TABLE admins (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  name             TEXT   NOT NULL,
  version          BIGINT NOT NULL,
  invitation       BLOB,
  sealed           BLOB   NOT NULL
);
CREATE UNIQUE INDEX admins_of_tenant ON admins (tenant, name);
CREATE UNIQUE INDEX admins_of_invitation ON admins (invitation);

CREATE TABLE tokens (
  hash             BLOB   NOT NULL PRIMARY KEY,
  id               TEXT   NOT NULL,
  tenant           TEXT   NOT NULL,
  sealed           BLOB   NOT NULL
);
CREATE UNIQUE INDEX tokens_of_tenant ON tokens (tenant, id);

-- How often each passkey says that it has signed: one that counts back has been copied.
CREATE TABLE passkey_counters (
  credential       TEXT   NOT NULL PRIMARY KEY,
  counter          BIGINT NOT NULL
);

CREATE TABLE enrolment_codes (
  hash             BLOB   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  used_by          TEXT,
  expires_at       BIGINT NOT NULL,
  sealed           BLOB   NOT NULL
);

CREATE TABLE records (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  kind             TEXT   NOT NULL,
  generation       BIGINT NOT NULL,
  device           TEXT   NOT NULL,
  suite            BIGINT NOT NULL,
  commitment       BLOB   NOT NULL,
  bundle           BLOB   NOT NULL,
  leaf_index       BIGINT NOT NULL,
  created_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX records_of_user ON records (tenant, user_id, kind, generation);
CREATE INDEX records_of_tenant ON records (tenant, id);

-- What opens a record: one row, or one per KEK where its tenant wants two. Without any, the record is shredded.
CREATE TABLE wraps (
  record           TEXT   NOT NULL,
  slot             TEXT   NOT NULL,
  kek              TEXT   NOT NULL,
  kek_version      BIGINT NOT NULL,
  vendor_version   TEXT   NOT NULL,
  wrapped          BLOB   NOT NULL,
  PRIMARY KEY (record, slot)
);
CREATE INDEX wraps_of_kek ON wraps (kek, kek_version, slot, record);

-- Orders to destroy what a KEK wrapped; each waits for another administrator.
CREATE TABLE destructions (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  kek              TEXT   NOT NULL,
  reason           TEXT   NOT NULL,
  requested_by     TEXT   NOT NULL,
  state            TEXT   NOT NULL,
  lost             BIGINT NOT NULL,
  kept             BIGINT NOT NULL,
  requested_at     BIGINT NOT NULL
);
CREATE INDEX destructions_of_tenant ON destructions (tenant, id);

-- `circumstances` is a document that only the broker can write.
CREATE TABLE restores (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  device           TEXT   NOT NULL,
  records          TEXT   NOT NULL,
  receive_key      BLOB   NOT NULL,
  nonce            TEXT   NOT NULL,
  reason           TEXT   NOT NULL,
  policy_digest    BLOB   NOT NULL,
  circumstances    BLOB   NOT NULL,
  transcript       BLOB   NOT NULL,
  match_code       TEXT   NOT NULL,
  wrong_codes      BIGINT NOT NULL,
  veto_hash        BLOB,
  state            TEXT   NOT NULL,
  flight           TEXT,
  answer           BLOB,
  leaf_index       BIGINT,
  not_before       BIGINT NOT NULL,
  expires_at       BIGINT NOT NULL,
  changed_at       BIGINT NOT NULL
);
CREATE INDEX restores_of_tenant ON restores (tenant, id);
CREATE INDEX restores_of_user ON restores (tenant, user_id, id);
CREATE UNIQUE INDEX restores_of_veto ON restores (veto_hash) WHERE veto_hash IS NOT NULL;
CREATE INDEX restores_in_state ON restores (state, changed_at);
CREATE INDEX restores_open ON restores (tenant, user_id)
  WHERE state IN ('pending', 'approved', 'releasing', 'released');
CREATE INDEX restores_in_flight ON restores (changed_at) WHERE flight IS NOT NULL;

-- Who approved a restore, or rejected it. `signature` is as it was made: it is verified again at the release.
CREATE TABLE approvals (
  restore          TEXT   NOT NULL,
  approver         TEXT   NOT NULL,
  by_device        BIGINT NOT NULL,
  decision         TEXT   NOT NULL,
  signature        BLOB   NOT NULL,
  given_at         BIGINT NOT NULL,
  PRIMARY KEY (restore, approver)
);

-- What people are to be told, sealed: written with the event that it tells of, gone when it was sent or given up.
CREATE TABLE notices (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  channel          TEXT   NOT NULL,
  sealed           BLOB   NOT NULL,
  not_before       BIGINT NOT NULL,
  created_at       BIGINT NOT NULL
);
CREATE INDEX notices_on_channel ON notices (channel, not_before, id);
CREATE INDEX notices_of_user ON notices (tenant, user_id);
-- At most one per tenant is running or paused.
CREATE TABLE rewraps (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  state            TEXT   NOT NULL,
  reason           TEXT   NOT NULL,
  total            BIGINT NOT NULL,
  per_second       BIGINT,
  verify           BIGINT NOT NULL,
  started_at       BIGINT NOT NULL,
  changed_at       BIGINT NOT NULL
);
CREATE INDEX rewraps_of_tenant ON rewraps (tenant, id);
CREATE INDEX rewraps_in_state ON rewraps (state);

CREATE TABLE nonces (
  nonce            BLOB   NOT NULL PRIMARY KEY,
  expires_at       BIGINT NOT NULL
);
CREATE INDEX nonces_by_age ON nonces (expires_at);

-- The database is the log: heads, tiles and proofs are derived from the leaves, in the same transaction.
CREATE TABLE leaves (
  tenant           TEXT   NOT NULL,
  leaf_index       BIGINT NOT NULL,
  kind             TEXT   NOT NULL,
  leaf             TEXT   NOT NULL,
  subject          TEXT   NOT NULL,
  jti              TEXT   NOT NULL,
  cor              TEXT,
  disclosures      BLOB   NOT NULL,
  PRIMARY KEY (tenant, leaf_index)
);
CREATE INDEX leaves_of_cor ON leaves (tenant, cor, leaf_index) WHERE cor IS NOT NULL;

-- How many events of each kind a tenant's log took in each hour, counted since 1970.
CREATE TABLE event_counts (
  tenant           TEXT   NOT NULL,
  hour             BIGINT NOT NULL,
  kind             TEXT   NOT NULL,
  events           BIGINT NOT NULL,
  PRIMARY KEY (tenant, hour, kind)
);
CREATE INDEX event_counts_by_age ON event_counts (hour);

CREATE INDEX findings ON leaves (tenant, leaf_index) WHERE kind = 'finding.raised';
CREATE INDEX policy_changes ON leaves (tenant, leaf_index) WHERE kind = 'policy.changed';
CREATE INDEX policy_withdrawals ON leaves (tenant, leaf_index) WHERE kind = 'policy.withdrawn';

CREATE TABLE log_heads (
  tenant           TEXT   NOT NULL PRIMARY KEY,
  size             BIGINT NOT NULL,
  root             BLOB   NOT NULL,
  checkpoint       TEXT   NOT NULL,
  changed_at       BIGINT NOT NULL
);

-- The newest checkpoint that each witness has cosigned.
CREATE TABLE cosignatures (
  tenant           TEXT   NOT NULL,
  witness          TEXT   NOT NULL,
  size             BIGINT NOT NULL,
  checkpoint       TEXT   NOT NULL,
  line             TEXT   NOT NULL,
  received_at      BIGINT NOT NULL,
  PRIMARY KEY (tenant, witness)
);

-- Logs that take no event: a witness has seen another history of them.
CREATE TABLE frozen_logs (
  tenant           TEXT   NOT NULL PRIMARY KEY,
  witness          TEXT   NOT NULL,
  contradiction    TEXT   NOT NULL,
  witnessed_size   BIGINT NOT NULL,
  size             BIGINT NOT NULL,
  frozen_at        BIGINT NOT NULL
);

-- Users who are locked; with an empty `user_id`, tenants whose restores are frozen.
CREATE TABLE locks (
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  by_admin         BIGINT NOT NULL,
  locked_at        BIGINT NOT NULL,
  told             BIGINT NOT NULL,
  PRIMARY KEY (tenant, user_id)
);

-- When what users, and with an empty `user_id` tenants, have taken of their quotas is there again.
CREATE TABLE budgets (
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL,
  asked_until      BIGINT NOT NULL,
  failed_until     BIGINT NOT NULL,
  PRIMARY KEY (tenant, user_id)
);

CREATE TABLE tiles (
  tenant           TEXT   NOT NULL,
  level            BIGINT NOT NULL,
  tile_index       BIGINT NOT NULL,
  hashes           BLOB   NOT NULL,
  PRIMARY KEY (tenant, level, tile_index)
);

-- One key per data subject; '' is the tenant itself. Deleting the row erases the person from the log.
CREATE TABLE subjects (
  tenant           TEXT   NOT NULL,
  id               TEXT   NOT NULL,
  sealed           BLOB   NOT NULL,
  PRIMARY KEY (tenant, id)
);

-- Persons whose key is gone and whose name is still being taken off their events; a row goes when that is done.
CREATE TABLE erasures (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  user_id          TEXT   NOT NULL
);

-- The broker's own keys, each sealed; '' is the broker itself.
CREATE TABLE broker_keys (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  purpose          TEXT   NOT NULL,
  sealed           BLOB   NOT NULL,
  created_at       BIGINT NOT NULL
);
CREATE INDEX broker_keys_of_tenant ON broker_keys (tenant, purpose, created_at);

-- How far each sink is with each log. What was given up is what is below `next_index` and counted nowhere.
CREATE TABLE cursors (
  tenant           TEXT   NOT NULL,
  sink             TEXT   NOT NULL,
  next_index       BIGINT NOT NULL,
  sent             BIGINT NOT NULL DEFAULT 0,
  filtered         BIGINT NOT NULL DEFAULT 0,
  paused           BIGINT NOT NULL DEFAULT 0,
  confirmed_at     BIGINT,
  PRIMARY KEY (tenant, sink)
);

-- Ranges to be delivered once more; a row goes when it is through.
CREATE TABLE replays (
  id               TEXT   NOT NULL PRIMARY KEY,
  tenant           TEXT   NOT NULL,
  sink             TEXT   NOT NULL,
  next_index       BIGINT NOT NULL,
  to_index         BIGINT NOT NULL
);

CREATE TABLE dead_letters (
  tenant           TEXT   NOT NULL,
  sink             TEXT   NOT NULL,
  leaf_index       BIGINT NOT NULL,
  reason           TEXT   NOT NULL,
  refused_at       BIGINT NOT NULL,
  PRIMARY KEY (tenant, sink, leaf_index)
);
