-- Where a vendor's customers may be sent back to, and whose pages may frame the hosted ones.
ALTER TABLE parent_account
  ADD COLUMN return_hosts text[] NOT NULL DEFAULT '{}',
  ADD COLUMN frame_origins text[] NOT NULL DEFAULT '{}';

-- The vendor's own id of a connection names one connection of a customer.
CREATE UNIQUE INDEX connection_external_id ON connection (account_id, external_id)
 WHERE external_id IS NOT NULL;

-- Our own keys, which sign the links to hosted forms; the newest one signs. The private key is
-- sealed (tidewell.connections.sealing).
CREATE TABLE signing_key (
    id uuid PRIMARY KEY,
    sealed text NOT NULL,
    public_pem text NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);

-- Who wrote what, when. Without foreign keys: it outlives what it tells of.
CREATE TABLE audit_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    parent_id uuid NOT NULL,
    account_id uuid,
    action text NOT NULL,
    target_id uuid NOT NULL,
    target_name text NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX audit_event_account ON audit_event (account_id, at);
CREATE INDEX audit_event_parent ON audit_event (parent_id, at);
CREATE INDEX audit_event_at ON audit_event (at);
