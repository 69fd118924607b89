-- The delivery table is the outbox itself: what waits, in which order, from when on.

ALTER TABLE delivery DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery
    ADD CONSTRAINT delivery_state_check
        CHECK (state IN ('waiting', 'delivered', 'committed', 'unsupported', 'given_up', 'cancelled')),
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY, -- the order of creation, whatever the clock does
    ADD COLUMN urgent boolean NOT NULL DEFAULT false,
    ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT now(), -- of C-STORE or, once delivered, of N-ACTION
    ADD COLUMN failure_count integer NOT NULL DEFAULT 0, -- of this object; not of a destination that is away
    ADD COLUMN tried_s double precision NOT NULL DEFAULT 0, -- the sum of the waits between attempts
    ADD COLUMN delivered_at timestamptz,
    ADD COLUMN committed_at timestamptz;
DROP INDEX delivery_waiting;
CREATE INDEX delivery_waiting ON delivery (destination, urgent DESC, number) WHERE state = 'waiting';
CREATE INDEX delivery_uncommitted ON delivery (destination, number) WHERE state = 'delivered';

CREATE TABLE destination ( -- those that could not be reached; the others have no row
    name text PRIMARY KEY,
    failure_count integer NOT NULL,
    rest_until timestamptz NOT NULL,
    detail text NOT NULL
);

ALTER TABLE study ADD COLUMN failure text NOT NULL DEFAULT ''; -- why it is not tried again until something new arrives
