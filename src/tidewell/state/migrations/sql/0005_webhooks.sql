-- Where a sub-account wants to be told of events; no events: all of them. The secret is sealed.
CREATE TABLE webhook (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    url text NOT NULL,
    events text[] NOT NULL DEFAULT '{}',
    sealed text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX webhook_account ON webhook (account_id, created_at, id);

-- Each event for each webhook; `next_attempt_at` is NULL once it is delivered or given up.
CREATE TABLE webhook_delivery (
    id uuid PRIMARY KEY,
    webhook_id uuid NOT NULL REFERENCES webhook ON DELETE CASCADE,
    account_id uuid NOT NULL,
    event text NOT NULL,
    payload json NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    status integer,
    error text,
    created_at timestamptz NOT NULL,
    next_attempt_at timestamptz,
    delivered_at timestamptz
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook_id, created_at DESC, id);
CREATE INDEX webhook_delivery_created ON webhook_delivery (created_at);

-- When the account was last told that a job is late.
ALTER TABLE job ADD COLUMN late_told_at timestamptz;
