-- Parent accounts: the software vendors. `iss` of a token is the id.
CREATE TABLE parent_account (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL
);

-- The public keys that a parent's tokens may be signed with; several, so that they can be rotated.
CREATE TABLE public_key (
    id uuid PRIMARY KEY,
    parent_id uuid NOT NULL REFERENCES parent_account ON DELETE CASCADE,
    kid text NOT NULL,
    pem text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX public_key_kid ON public_key (parent_id, kid) WHERE revoked_at IS NULL;
CREATE INDEX public_key_parent ON public_key (parent_id);

-- Sub-accounts: the vendor's customers. All data below belongs to one of them.
CREATE TABLE account (
    id uuid PRIMARY KEY,
    parent_id uuid NOT NULL REFERENCES parent_account ON DELETE CASCADE,
    external_id text,
    name text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX account_parent ON account (parent_id, created_at, id);
CREATE UNIQUE INDEX account_external_id ON account (parent_id, external_id) WHERE external_id IS NOT NULL;

-- Connections to sources. The connection string is sealed (tidewell.connections.sealing).
CREATE TABLE connection (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    name text NOT NULL,
    driver text NOT NULL,
    sealed text NOT NULL,
    external_id text,
    is_tested boolean NOT NULL DEFAULT false,
    test_error text,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX connection_name ON connection (account_id, lower(name));

-- The one cache connection of a sub-account: the PostgreSQL that its cached tables stand in.
CREATE TABLE cache_connection (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL UNIQUE REFERENCES account ON DELETE CASCADE,
    sealed text NOT NULL,
    is_tested boolean NOT NULL DEFAULT false,
    test_error text,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);

-- Jobs: what to do and when. `anchor_at` is the first point of the schedule's grid.
CREATE TABLE job (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    connection_id uuid REFERENCES connection,
    job_type text NOT NULL,
    name text NOT NULL,
    enabled boolean NOT NULL,
    interval_unit text NOT NULL,
    interval_value integer NOT NULL,
    log_verbosity integer NOT NULL,
    anchor_at timestamptz NOT NULL,
    next_run_at timestamptz,
    params json NOT NULL, -- not jsonb: they come back as the client wrote them
    source_schema text,
    source_table text,
    cache_schema text,
    cache_table text,
    reload boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    CHECK (job_type <> 'Caching' OR (connection_id IS NOT NULL AND source_table IS NOT NULL))
);
CREATE INDEX job_account ON job (account_id, created_at, id);
CREATE INDEX job_due ON job (next_run_at) WHERE enabled AND next_run_at IS NOT NULL;
CREATE UNIQUE INDEX job_one_a_table ON job (connection_id, source_schema, source_table)
    WHERE job_type = 'Caching';
-- A place in the cache belongs to one job of the account.
CREATE UNIQUE INDEX job_one_a_place ON job (account_id, cache_schema, cache_table)
    WHERE cache_table IS NOT NULL;

-- Every attempt of every run takes the next number; the cache's fence compares them.
CREATE SEQUENCE attempt_number AS bigint;

-- Runs: each execution of a job, with what it did.
CREATE TABLE run (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'success', 'failed', 'stopped')),
    cause text NOT NULL CHECK (cause IN ('create', 'schedule', 'request')),
    attempt bigint,
    attempts integer NOT NULL DEFAULT 0,
    queue_id bigint,
    queued_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    stop_requested_at timestamptz,
    rows_read bigint NOT NULL DEFAULT 0,
    bytes_copied bigint NOT NULL DEFAULT 0,
    rows_affected bigint NOT NULL DEFAULT 0,
    receipt jsonb,
    error_code text,
    error_message text
);
CREATE UNIQUE INDEX run_one_active ON run (job_id) WHERE state IN ('queued', 'running');
CREATE INDEX run_job ON run (job_id, queued_at DESC, id);
CREATE INDEX run_account ON run (account_id);

-- Log lines of runs; `level` as in the Job API's logVerbosity.
CREATE TABLE run_log (
    run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
    line bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    level integer NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (run_id, line)
);
