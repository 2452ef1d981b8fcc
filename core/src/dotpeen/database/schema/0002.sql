-- Who may use the external REST interface, and what they did. Read by Dotpeen's own role: nothing here is for PUBLIC.

CREATE TABLE dotpeen.api_state (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    external_enabled boolean NOT NULL DEFAULT true,
    reason           text,
    retry_after_seconds int NOT NULL DEFAULT 60 CHECK (retry_after_seconds > 0),
    changed_at       timestamptz,
    changed_by       text,
    generation       bigint NOT NULL DEFAULT 1
);
INSERT INTO dotpeen.api_state DEFAULT VALUES;
COMMENT ON TABLE dotpeen.api_state IS 'Whether the external REST interface answers. Set it with: dotpeen api disable|enable external';
COMMENT ON COLUMN dotpeen.api_state.reason IS 'Why it is off, as partners read it.';
COMMENT ON COLUMN dotpeen.api_state.retry_after_seconds IS 'What Retry-After says to partners while it is off.';
COMMENT ON COLUMN dotpeen.api_state.generation IS 'Raised by every change of partners, tokens or this row; the nodes ask for it once a second and read again what changed.';

CREATE TABLE dotpeen.partner (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL CHECK (name <> ''),
    name_key      text COLLATE "C" NOT NULL UNIQUE,
    scopes        text[] NOT NULL CHECK (pg_catalog.cardinality(scopes) > 0),
    rate_requests int CHECK (rate_requests >= 0),
    rate_seconds  int CHECK (rate_seconds > 0),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_by    text NOT NULL,
    revoked_at    timestamptz,
    revoked_by    text,
    CHECK ((rate_requests IS NULL) = (rate_seconds IS NULL))
);
COMMENT ON TABLE dotpeen.partner IS 'Who may use the external REST interface. Never deleted: the audit trail names them.';
COMMENT ON COLUMN dotpeen.partner.name_key IS 'The name with its case folded: no two partners differ in case alone.';
COMMENT ON COLUMN dotpeen.partner.scopes IS 'What it may do: Entity:verb, with * for every entity.';
COMMENT ON COLUMN dotpeen.partner.rate_requests IS 'Requests in rate_seconds; 0: no limit; null: the default of the interface.';

CREATE TABLE dotpeen.partner_token (
    id           text COLLATE "C" PRIMARY KEY,
    partner_id   bigint NOT NULL REFERENCES dotpeen.partner (id) ON DELETE CASCADE,
    kind         text NOT NULL CHECK (kind IN ('client', 'access')),
    hash         bytea NOT NULL CHECK (pg_catalog.octet_length(hash) = 32),
    parent       text COLLATE "C" REFERENCES dotpeen.partner_token (id) ON DELETE CASCADE,
    scopes       text[],
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_by   text NOT NULL,
    lifetime     interval,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    last_used_at timestamptz,
    CHECK ((kind = 'access') = (parent IS NOT NULL)),
    CHECK (kind = 'client' OR expires_at IS NOT NULL)
);
CREATE INDEX partner_token_partner ON dotpeen.partner_token (partner_id);
CREATE INDEX partner_token_parent ON dotpeen.partner_token (parent) WHERE parent IS NOT NULL;
CREATE INDEX partner_token_access ON dotpeen.partner_token (expires_at) WHERE kind = 'access';
COMMENT ON TABLE dotpeen.partner_token IS 'Tokens of partners: those handed out (client), and short-lived ones got for them over OAuth 2 (access).';
COMMENT ON COLUMN dotpeen.partner_token.id IS 'The public part of the token, and the OAuth client id.';
COMMENT ON COLUMN dotpeen.partner_token.hash IS 'SHA-256 of the secret part, which is 256 random bits and stored nowhere.';
COMMENT ON COLUMN dotpeen.partner_token.parent IS 'The client token that an access token was got for; it ends no later than that one.';
COMMENT ON COLUMN dotpeen.partner_token.scopes IS 'What an access token was narrowed to; null: all that the partner may do.';
COMMENT ON COLUMN dotpeen.partner_token.lifetime IS 'How long it was made to last; the token after it is made for as long. A rotation may end it earlier.';
COMMENT ON COLUMN dotpeen.partner_token.last_used_at IS 'When a request last came with it, to about a minute.';

CREATE TABLE dotpeen.audit (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL,
    partner      text COLLATE "C",
    token_id     text COLLATE "C",
    method       text NOT NULL,
    route        text NOT NULL,
    entity       text COLLATE "C",
    uuid         uuid,
    records      int NOT NULL,
    status       int NOT NULL,
    request_id   text,
    remote       text,
    milliseconds real NOT NULL,
    changed      text[]
);
CREATE INDEX audit_partner ON dotpeen.audit (partner, id) WHERE partner IS NOT NULL;
CREATE INDEX audit_uuid ON dotpeen.audit (uuid, id) WHERE uuid IS NOT NULL;
COMMENT ON TABLE dotpeen.audit IS 'Every request of a partner. Read it with: dotpeen audit; shorten it with: dotpeen audit prune';
COMMENT ON COLUMN dotpeen.audit.id IS 'Of UUID version 7, made from "at": the order of the key is the order of time.';
COMMENT ON COLUMN dotpeen.audit.route IS 'The pattern of the route, not the path: /api/v1/external/parts/{uuid}';
COMMENT ON COLUMN dotpeen.audit.uuid IS 'The record that was asked for, where it was one.';
COMMENT ON COLUMN dotpeen.audit.records IS 'How many records the answer held.';
COMMENT ON COLUMN dotpeen.audit.changed IS 'Names of the columns that a write set; the values are in the table.';

-- Not logged: a crash of the server forgets who used how much of the current minute, and nothing else.
CREATE UNLOGGED TABLE dotpeen.rate_window (
    partner_id     bigint NOT NULL,
    window_seconds int NOT NULL,
    window_start   timestamptz NOT NULL,
    requests       bigint NOT NULL,
    PRIMARY KEY (partner_id, window_seconds, window_start)
) WITH (fillfactor = 50);
COMMENT ON TABLE dotpeen.rate_window IS 'Requests of each partner in the current window, of all nodes together; old windows are deleted.';

CREATE FUNCTION dotpeen.raise_api_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dotpeen.api_state SET generation = generation + 1;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION dotpeen.raise_api_generation() IS 'Tells the nodes that a partner or a token changed.';

CREATE FUNCTION dotpeen.raise_api_generation_for_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A new access token is nowhere known, and one that has run out is nowhere of use: neither is news.
    IF EXISTS (SELECT FROM touched
                WHERE kind = 'client' OR (TG_OP = 'DELETE' AND expires_at > pg_catalog.clock_timestamp())) THEN
        UPDATE dotpeen.api_state SET generation = generation + 1;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION dotpeen.raise_api_generation_for_tokens() IS 'Tells the nodes that a token came or went.';

CREATE FUNCTION dotpeen.raise_own_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := OLD.generation + 1;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION dotpeen.raise_own_generation() IS 'Tells the nodes that the interface was switched on or off.';

CREATE TRIGGER changed BEFORE UPDATE OF external_enabled, reason, retry_after_seconds, changed_at, changed_by
    ON dotpeen.api_state FOR EACH ROW EXECUTE FUNCTION dotpeen.raise_own_generation();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON dotpeen.partner FOR EACH STATEMENT EXECUTE FUNCTION dotpeen.raise_api_generation();
CREATE TRIGGER made AFTER INSERT ON dotpeen.partner_token REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION dotpeen.raise_api_generation_for_tokens();
CREATE TRIGGER gone AFTER DELETE ON dotpeen.partner_token REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION dotpeen.raise_api_generation_for_tokens();
CREATE TRIGGER changed AFTER UPDATE OF id, partner_id, kind, hash, parent, scopes, expires_at, revoked_at OR TRUNCATE
    ON dotpeen.partner_token FOR EACH STATEMENT EXECUTE FUNCTION dotpeen.raise_api_generation();

-- Whatever the default privileges of the database are.
REVOKE ALL ON dotpeen.api_state, dotpeen.partner, dotpeen.partner_token, dotpeen.audit, dotpeen.rate_window FROM PUBLIC;
REVOKE ALL ON FUNCTION dotpeen.raise_api_generation(), dotpeen.raise_api_generation_for_tokens(),
    dotpeen.raise_own_generation() FROM PUBLIC;
