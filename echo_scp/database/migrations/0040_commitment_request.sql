-- What archives were asked about, so that a report on an association of their own is known to be one that we await.

CREATE TABLE commitment_request (
    transaction_uid text PRIMARY KEY,
    destination text NOT NULL,
    sop_instance_uids text[] NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);
