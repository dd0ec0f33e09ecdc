-- Personal access tokens: HTTP Basic for query and catalogue calls. Only the hash is kept.
CREATE TABLE personal_access_token (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX personal_access_token_account ON personal_access_token (account_id, created_at);

-- Queries of the Query API, kept 7 days; those of runs stand with the runs.
CREATE TABLE query_log (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    at timestamptz NOT NULL,
    milliseconds bigint NOT NULL,
    query text NOT NULL,
    credential text NOT NULL,
    drivers text NOT NULL,
    rows_returned bigint NOT NULL,
    error_code text,
    error_message text,
    user_agent text NOT NULL
);
CREATE INDEX query_log_account ON query_log (account_id, at);
CREATE INDEX query_log_at ON query_log (at);
