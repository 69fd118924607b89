-- Requests for Storage Commitment that a destination took and has not answered: its report may come on an association of
-- its own, to any host.

CREATE TABLE commitment_request (
    transaction_uid text PRIMARY KEY,
    destination text NOT NULL,
    sop_instance_uids text[] NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);
