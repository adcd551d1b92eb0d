-- The schema as all migrations leave it, for reading; made by `make docs`, never edited, never run.
-- What runs are the migrations in src/regulars/migrations/versions. Rights of the runtime role: distribution.csv beside
-- them. Tables of the job queue (procrastinate_*) belong to that library and are left out.

CREATE TYPE public.loyalty_move AS (
	customer_id uuid,
	seq bigint,
	lot_id uuid,
	lifetime_points bigint,
	held_points bigint,
	booked_points bigint,
	expires_at timestamp with time zone,
	is_expiry boolean
);

CREATE FUNCTION public.loyalty_reconcile() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        DECLARE
            noted public.loyalty_touched;
            further public.loyalty_move[];
        BEGIN
            DELETE FROM public.loyalty_touched WHERE transaction_id = pg_current_xact_id() AND part = 0
                RETURNING * INTO noted;
            IF NOT FOUND THEN
                RETURN NULL;  -- this note was checked with part 0
            END IF;
            IF cardinality(noted.moves) >= 256 THEN
                WITH beside AS (
                    DELETE FROM public.loyalty_touched WHERE transaction_id = pg_current_xact_id() RETURNING moves
                )
                SELECT array_agg(ROW(m.*)::public.loyalty_move) INTO further FROM beside, unnest(beside.moves) AS m;
                noted.moves := noted.moves || further;
            END IF;
            PERFORM public.loyalty_require_sound(noted);
            RETURN NULL;
        END $$;

CREATE FUNCTION public.loyalty_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            RAISE EXCEPTION 'the points ledger is only ever added to: % of % refused', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'LG001';
        END $$;

CREATE FUNCTION public.loyalty_require_sound(noted public.loyalty_touched) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
        DECLARE
            broken record;
        BEGIN
            PERFORM FROM public.loyalty_accounts
                WHERE customer_id = ANY (ARRAY(SELECT customer_id FROM unnest(noted.moves)))
                ORDER BY customer_id FOR NO KEY UPDATE;
            WITH touched AS MATERIALIZED (SELECT * FROM unnest(noted.moves))
            
            SELECT 'LG002' AS code, c.customer_id, 'account, chain and lots disagree' AS what
            FROM (SELECT customer_id, sum(lifetime_points) AS lifetime_drift, sum(held_points) AS held_drift
                  FROM touched GROUP BY customer_id) AS c
            LEFT JOIN public.loyalty_accounts AS a ON a.customer_id = c.customer_id
            LEFT JOIN LATERAL (
                SELECT seq, balance_after, hash FROM public.loyalty_transactions
                WHERE customer_id = c.customer_id ORDER BY seq DESC LIMIT 1
            ) AS head ON true
            WHERE c.lifetime_drift <> 0 OR c.held_drift <> 0 OR a.last_seq IS DISTINCT FROM coalesce(head.seq, 0)
                OR a.balance <> coalesce(head.balance_after, 0) OR a.last_hash IS DISTINCT FROM head.hash
 UNION ALL 
            SELECT 'LG003', t.customer_id, 'transaction ' || t.seq || ' does not fit its chain or its allocations'
            FROM (SELECT customer_id, seq, sum(booked_points) AS drift, bool_or(is_expiry) AS expires,
                      bool_and(is_expiry) AS only_expires
                  FROM touched WHERE seq IS NOT NULL GROUP BY customer_id, seq) AS t
            LEFT JOIN public.loyalty_transactions AS x ON x.customer_id = t.customer_id AND x.seq = t.seq
            LEFT JOIN public.loyalty_transactions AS p ON p.customer_id = t.customer_id AND p.seq = t.seq - 1
            WHERE x.seq IS NULL OR (p.seq IS NULL AND x.seq > 1) OR x.balance_before <> coalesce(p.balance_after, 0)
                OR t.drift <> 0 OR t.expires <> t.only_expires OR t.expires <> (x.transaction_type = 'EXPIRED')
                OR x.hash <> public.loyalty_row_hash(p.hash, x)
 UNION ALL 
            SELECT 'LG004', t.customer_id, 'a lot does not fit its allocations or its expiry'
            FROM (SELECT customer_id, seq, bool_or(drift <> 0) AS drifts, min(expires_at) AS earliest,
                      max(expires_at) AS latest
                  FROM (SELECT customer_id, max(seq) AS seq, sum(held_points - booked_points) AS drift,
                            max(expires_at) AS expires_at
                        FROM touched WHERE lot_id IS NOT NULL GROUP BY customer_id, lot_id) AS l
                  GROUP BY customer_id, seq) AS t
            LEFT JOIN public.loyalty_transactions AS x ON x.customer_id = t.customer_id AND x.seq = t.seq
            WHERE t.drifts
                OR CASE WHEN x.transaction_type = 'EXPIRED' THEN t.latest > x.created_at
                        ELSE t.earliest <= x.created_at END

            LIMIT 1 INTO broken;
            IF FOUND THEN
                RAISE EXCEPTION 'points ledger: % (customer %)', broken.what, broken.customer_id
                    USING ERRCODE = broken.code;
            END IF;
        END $$;

CREATE FUNCTION public.loyalty_row_hash(previous bytea, t public.loyalty_transactions) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sha256((((((((((((((((COALESCE(previous, '\x'::bytea) || uuid_send((t).customer_id)) || int8send((t).seq)) || uuid_send((t).id)) || int8send((t).points)) || int8send((t).balance_before)) || int8send((t).balance_after)) || uuid_send(COALESCE((t).order_id, '00000000-0000-0000-0000-000000000000'::uuid))) || uuid_send(COALESCE((t).refund_id, '00000000-0000-0000-0000-000000000000'::uuid))) || uuid_send(COALESCE((t).reverses_transaction_id, '00000000-0000-0000-0000-000000000000'::uuid))) || uuid_send(COALESCE((t).created_by, '00000000-0000-0000-0000-000000000000'::uuid))) || int4send(COALESCE((t).programme_version, 0))) || timestamptz_send(COALESCE((t).expires_at, 'infinity'::timestamp with time zone))) || timestamptz_send((t).created_at)) || boolsend((t).qualifies)) || ((((((t).transaction_type || '|'::text) || COALESCE((t).rule, ''::text)) || '|'::text) || COALESCE((t).reason_code, ''::text)))::bytea));

CREATE FUNCTION public.note_loyalty_accounts_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, NULL, -lifetime_points, -greatest(balance, 0), 0, NULL, NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM added) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, NULL, -lifetime_points, -greatest(balance, 0), 0, NULL, NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.note_loyalty_accounts_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, NULL, -lifetime_points, -greatest(balance, 0), 0, NULL, NULL FROM changed UNION ALL SELECT customer_id, NULL, NULL, lifetime_points, greatest(balance, 0), 0, NULL, NULL FROM before) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM changed) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, NULL, -lifetime_points, -greatest(balance, 0), 0, NULL, NULL FROM changed UNION ALL SELECT customer_id, NULL, NULL, lifetime_points, greatest(balance, 0), 0, NULL, NULL FROM before) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.note_loyalty_transactions_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, seq, NULL, CASE WHEN qualifies THEN points ELSE 0 END, 0, -points, NULL, NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM added) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, seq, NULL, CASE WHEN qualifies THEN points ELSE 0 END, 0, -points, NULL, NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.note_point_allocations_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, seq, lot_id, 0, 0, points, NULL, is_expiry FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM added) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, seq, lot_id, 0, 0, points, NULL, is_expiry FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.note_point_clawbacks_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, NULL, -lifetime_points, 0, 0, NULL, NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM added) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, NULL, -lifetime_points, 0, 0, NULL, NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.note_point_lots_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, id, 0, remaining, 0, coalesce(expires_at, 'infinity'), NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM added) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, id, 0, remaining, 0, coalesce(expires_at, 'infinity'), NULL FROM added) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.note_point_lots_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted (transaction_id, part, moves)
            SELECT pg_current_xact_id(), 0, array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, id, 0, sum(remaining)::bigint, 0, max(coalesce(expires_at, 'infinity')), NULL FROM (SELECT customer_id, id, remaining, expires_at FROM changed UNION ALL SELECT customer_id, id, -remaining, expires_at FROM before) AS lots GROUP BY customer_id, id) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0
            ON CONFLICT (transaction_id, part) DO UPDATE SET moves = noted.moves || excluded.moves
                WHERE cardinality(noted.moves) < 256;
            IF NOT FOUND AND EXISTS (SELECT FROM changed) THEN
                INSERT INTO public.loyalty_touched (transaction_id, moves)
                SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move) FROM (SELECT customer_id, NULL, id, 0, sum(remaining)::bigint, 0, max(coalesce(expires_at, 'infinity')), NULL FROM (SELECT customer_id, id, remaining, expires_at FROM changed UNION ALL SELECT customer_id, id, -remaining, expires_at FROM before) AS lots GROUP BY customer_id, id) AS t (customer_id, seq, lot_id, lifetime_points, held_points, booked_points, expires_at, is_expiry) HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.search_key(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (octet_length(value) = char_length(value)) THEN casefold((value COLLATE pg_unicode_fast)) ELSE NORMALIZE(replace(replace(replace(translate(casefold((regexp_replace(NORMALIZE(value, NFKD), '[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u00ad\u200b-\u200f\u2060\ufeff]+'::text, ''::text, 'g'::text) COLLATE pg_unicode_fast)), 'łøđðħŧı’‘ʼ'::text, 'loddhti'''''''::text), 'æ'::text, 'ae'::text), 'œ'::text, 'oe'::text), 'þ'::text, 'th'::text), NFC) END;

CREATE FUNCTION public.strip_audit_log(person uuid, logins uuid[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    BEGIN ATOMIC
 WITH stripped AS (
          UPDATE public.audit_log entry SET facts = ( SELECT COALESCE(jsonb_object_agg(jsonb_each.key, jsonb_each.value), '{}'::jsonb) AS "coalesce"
                    FROM jsonb_each(entry.facts) jsonb_each(key, value)
                   WHERE (jsonb_typeof(jsonb_each.value) <> 'string'::text))
           WHERE ((((entry.object_kind = ANY (ARRAY['customer'::text, 'user'::text])) AND (entry.object_id = ANY ((strip_audit_log.person || strip_audit_log.logins)))) OR ((entry.facts ? 'customer_ids'::text) AND ((entry.facts -> 'customer_ids'::text) @> to_jsonb((strip_audit_log.person)::text)))) AND jsonb_path_exists(entry.facts, '$.*?(@.type() == "string")'::jsonpath))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM stripped;
END;

COMMENT ON SCHEMA public IS 'standard public schema';

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

CREATE TABLE public.api_clients (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    previous_secret_hash bytea,
    previous_secret_until timestamp with time zone,
    scopes text[] NOT NULL,
    source text NOT NULL,
    max_points_per_transaction bigint,
    max_points_per_day bigint,
    is_enabled boolean DEFAULT true NOT NULL,
    auth_epoch integer DEFAULT 1 NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT api_clients_max_points_per_day_check CHECK ((max_points_per_day > 0)),
    CONSTRAINT api_clients_max_points_per_transaction_check CHECK ((max_points_per_transaction > 0))
);

ALTER TABLE ONLY public.api_clients
    ADD CONSTRAINT api_clients_pkey PRIMARY KEY (id);

CREATE TABLE public.audit_log (
    id uuid DEFAULT uuidv7() NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id uuid,
    fields text[] DEFAULT '{}'::text[] NOT NULL,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    trace_id text,
    CONSTRAINT audit_log_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['user'::text, 'client'::text, 'operator'::text, 'system'::text])))
);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

CREATE INDEX audit_log_listed ON public.audit_log USING gin (((facts -> 'customer_ids'::text)) jsonb_path_ops) WHERE (facts ? 'customer_ids'::text);

CREATE INDEX audit_log_object ON public.audit_log USING btree (object_kind, object_id, occurred_at DESC);

CREATE TABLE public.award_bases (
    customer_id uuid NOT NULL,
    order_id uuid NOT NULL,
    total numeric(18,4) NOT NULL,
    discount_total numeric(18,4) NOT NULL,
    tax_total numeric(18,4) NOT NULL,
    shipping_total numeric(18,4) NOT NULL,
    cash_rounding numeric(18,4) NOT NULL,
    lines_total numeric(18,4),
    is_followed boolean NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.award_bases
    ADD CONSTRAINT award_bases_pkey PRIMARY KEY (customer_id, order_id);

CREATE INDEX award_bases_to_follow ON public.award_bases USING btree (customer_id, order_id) WHERE (NOT is_followed);

ALTER TABLE ONLY public.award_bases
    ADD CONSTRAINT award_bases_customer_id_order_id_fkey FOREIGN KEY (customer_id, order_id) REFERENCES public.orders(customer_id, id);

CREATE TABLE public.consent_events (
    customer_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    seq bigint NOT NULL,
    purpose text NOT NULL,
    channel text NOT NULL,
    action text NOT NULL,
    policy_version text,
    text_hash bytea,
    source text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    occurred_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT consent_events_action_check CHECK ((action = ANY (ARRAY['granted'::text, 'withdrawn'::text]))),
    CONSTRAINT consent_events_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['user'::text, 'client'::text, 'operator'::text, 'system'::text]))),
    CONSTRAINT consent_events_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'push'::text]))),
    CONSTRAINT consent_events_purpose_check CHECK ((purpose ~ '^[a-z_]{1,50}$'::text)),
    CONSTRAINT consent_events_seq_check CHECK ((seq > 0)),
    CONSTRAINT consent_events_text_hash_check CHECK ((octet_length(text_hash) = 32))
);

ALTER TABLE ONLY public.consent_events
    ADD CONSTRAINT consent_events_customer_id_seq_key UNIQUE (customer_id, seq);

ALTER TABLE ONLY public.consent_events
    ADD CONSTRAINT consent_events_pkey PRIMARY KEY (customer_id, id);

CREATE INDEX consent_events_time ON public.consent_events USING btree (customer_id, occurred_at, seq);

ALTER TABLE ONLY public.consent_events
    ADD CONSTRAINT consent_events_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.customer_engagement (
    customer_id uuid NOT NULL,
    mails_sent bigint DEFAULT 0 NOT NULL,
    mails_delivered bigint DEFAULT 0 NOT NULL,
    mails_opened bigint DEFAULT 0 NOT NULL,
    mails_clicked bigint DEFAULT 0 NOT NULL,
    last_delivered_at timestamp with time zone,
    last_opened_at timestamp with time zone,
    last_clicked_at timestamp with time zone,
    last_activity_at timestamp with time zone,
    bounced_email text,
    bounced_at timestamp with time zone,
    CONSTRAINT customer_engagement_check CHECK (((mails_sent >= mails_delivered) AND (mails_delivered >= mails_opened) AND (mails_opened >= mails_clicked))),
    CONSTRAINT customer_engagement_check1 CHECK (((bounced_email IS NULL) = (bounced_at IS NULL)))
);

ALTER TABLE ONLY public.customer_engagement
    ADD CONSTRAINT customer_engagement_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.customer_engagement
    ADD CONSTRAINT customer_engagement_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.customer_identifiers (
    kind text NOT NULL,
    value text NOT NULL,
    customer_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT customer_identifiers_kind_check CHECK (((kind = ANY (ARRAY['number'::text, 'email'::text, 'phone'::text])) OR (kind ~~ 'ext:_%'::text))),
    CONSTRAINT customer_identifiers_value_check CHECK ((value <> ''::text))
);

ALTER TABLE ONLY public.customer_identifiers
    ADD CONSTRAINT customer_identifiers_pkey PRIMARY KEY (kind, value);

CREATE INDEX customer_identifiers_customer ON public.customer_identifiers USING btree (customer_id);

CREATE TABLE public.customer_metrics (
    customer_id uuid NOT NULL,
    total_orders integer DEFAULT 0 NOT NULL,
    net_spent numeric(28,4) DEFAULT 0 NOT NULL,
    first_order_at timestamp with time zone,
    last_order_at timestamp with time zone,
    purchase_days integer DEFAULT 0 NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT customer_metrics_check CHECK (((purchase_days >= 0) AND (purchase_days <= total_orders))),
    CONSTRAINT customer_metrics_total_orders_check CHECK ((total_orders >= 0))
);

ALTER TABLE ONLY public.customer_metrics
    ADD CONSTRAINT customer_metrics_pkey PRIMARY KEY (customer_id);

CREATE INDEX customer_metrics_average ON public.customer_metrics USING btree (((net_spent / (NULLIF(total_orders, 0))::numeric)), customer_id);

CREATE INDEX customer_metrics_first_order ON public.customer_metrics USING btree (first_order_at, customer_id);

CREATE INDEX customer_metrics_last_order ON public.customer_metrics USING btree (last_order_at, customer_id);

CREATE INDEX customer_metrics_orders ON public.customer_metrics USING btree (total_orders, customer_id);

CREATE INDEX customer_metrics_spent ON public.customer_metrics USING btree (net_spent, customer_id);

ALTER TABLE ONLY public.customer_metrics
    ADD CONSTRAINT customer_metrics_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.customer_number_counters (
    day date NOT NULL,
    last_number bigint NOT NULL
);

ALTER TABLE ONLY public.customer_number_counters
    ADD CONSTRAINT customer_number_counters_pkey PRIMARY KEY (day);

CREATE TABLE public.customer_preferences (
    customer_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    preference_type text NOT NULL,
    preference_key text NOT NULL,
    preference_value jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT customer_preferences_preference_key_check CHECK ((preference_key <> ''::text)),
    CONSTRAINT customer_preferences_preference_type_check CHECK ((preference_type = ANY (ARRAY['COMMUNICATION'::text, 'SHOPPING'::text, 'PAYMENT'::text, 'DELIVERY'::text, 'MARKETING'::text])))
);

ALTER TABLE ONLY public.customer_preferences
    ADD CONSTRAINT customer_preferences_customer_id_id_key UNIQUE (customer_id, id);

ALTER TABLE ONLY public.customer_preferences
    ADD CONSTRAINT customer_preferences_pkey PRIMARY KEY (customer_id, preference_type, preference_key);

CREATE INDEX customer_preferences_key ON public.customer_preferences USING btree (preference_key);

CREATE INDEX customer_preferences_words ON public.customer_preferences USING gin (preference_value) WHERE ((preference_type = 'SHOPPING'::text) AND (preference_key = ANY (ARRAY['categories'::text, 'brands'::text])));

ALTER TABLE ONLY public.customer_preferences
    ADD CONSTRAINT customer_preferences_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.customer_scores (
    customer_id uuid NOT NULL,
    recency_score smallint,
    frequency_score smallint,
    monetary_score smallint,
    segment text,
    rfm_run_id uuid,
    rfm_scored_at timestamp with time zone,
    clv numeric(28,4),
    clv_method text,
    clv_reason text,
    clv_window_days integer,
    clv_run_id uuid,
    clv_scored_at timestamp with time zone,
    p_buy double precision,
    expected_orders double precision,
    median_wait_days double precision,
    next_order_on date,
    clv_low numeric(28,4),
    clv_high numeric(28,4),
    CONSTRAINT customer_scores_check CHECK ((num_nulls(recency_score, frequency_score, monetary_score) = ANY (ARRAY[0, 3]))),
    CONSTRAINT customer_scores_check1 CHECK ((clv_low <= clv_high)),
    CONSTRAINT customer_scores_clv_is_number CHECK ((clv <> 'NaN'::numeric)),
    CONSTRAINT customer_scores_expected_orders_check CHECK ((expected_orders >= (0)::double precision)),
    CONSTRAINT customer_scores_expected_orders_is_finite CHECK ((expected_orders < 'Infinity'::double precision)),
    CONSTRAINT customer_scores_frequency_score_check CHECK (((frequency_score >= 1) AND (frequency_score <= 5))),
    CONSTRAINT customer_scores_median_wait_days_check CHECK ((median_wait_days >= (0)::double precision)),
    CONSTRAINT customer_scores_median_wait_days_is_finite CHECK ((median_wait_days < 'Infinity'::double precision)),
    CONSTRAINT customer_scores_monetary_score_check CHECK (((monetary_score >= 1) AND (monetary_score <= 5))),
    CONSTRAINT customer_scores_p_buy_check CHECK (((p_buy >= (0)::double precision) AND (p_buy <= (1)::double precision))),
    CONSTRAINT customer_scores_range_is_number CHECK (((clv_low <> 'NaN'::numeric) AND (clv_high <> 'NaN'::numeric))),
    CONSTRAINT customer_scores_recency_score_check CHECK (((recency_score >= 1) AND (recency_score <= 5)))
);

ALTER TABLE ONLY public.customer_scores
    ADD CONSTRAINT customer_scores_pkey PRIMARY KEY (customer_id);

CREATE INDEX customer_scores_clv ON public.customer_scores USING btree (clv DESC NULLS LAST, customer_id);

CREATE INDEX customer_scores_segment ON public.customer_scores USING btree (segment);

ALTER TABLE ONLY public.customer_scores
    ADD CONSTRAINT customer_scores_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.customers (
    id uuid DEFAULT uuidv7() NOT NULL,
    customer_number text NOT NULL,
    first_name text,
    last_name text,
    email text,
    phone text,
    date_of_birth date,
    gender text,
    address_line1 text,
    address_line2 text,
    postal_code text,
    city text,
    state text,
    country text,
    is_active boolean DEFAULT true NOT NULL,
    is_email_verified boolean DEFAULT false NOT NULL,
    is_phone_verified boolean DEFAULT false NOT NULL,
    email_marketing_consent boolean DEFAULT false NOT NULL,
    sms_marketing_consent boolean DEFAULT false NOT NULL,
    push_notification_consent boolean DEFAULT false NOT NULL,
    acquisition_source text,
    acquisition_campaign text,
    referrer_customer_id uuid,
    user_id uuid,
    notes text,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    erased_at timestamp with time zone,
    search_text text GENERATED ALWAYS AS ((((((' '::text || COALESCE((public.search_key(first_name) || ' '::text), ''::text)) || COALESCE((public.search_key(last_name) || ' '::text), ''::text)) || COALESCE((public.search_key(email) || ' '::text), ''::text)) || COALESCE((phone || ' '::text), ''::text)) || lower(customer_number))) STORED NOT NULL,
    is_guest boolean DEFAULT false NOT NULL,
    merged_into uuid,
    CONSTRAINT customers_check CHECK (((NOT is_email_verified) OR (email IS NOT NULL))),
    CONSTRAINT customers_check1 CHECK (((NOT is_phone_verified) OR (phone IS NOT NULL))),
    CONSTRAINT customers_customer_number_check CHECK ((customer_number ~ '^CUST-[0-9]{8}-[0-9]{4,9}$'::text))
);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

CREATE INDEX customers_birthday ON public.customers USING btree ((((EXTRACT(month FROM date_of_birth) * (100)::numeric) + EXTRACT(day FROM date_of_birth)))) WHERE (date_of_birth IS NOT NULL);

CREATE INDEX customers_city ON public.customers USING btree (public.search_key(city));

CREATE INDEX customers_created ON public.customers USING btree (created_at DESC, id DESC);

CREATE INDEX customers_deleted ON public.customers USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX customers_first_name ON public.customers USING btree (public.search_key(first_name) COLLATE "C");

CREATE INDEX customers_last_name ON public.customers USING btree (public.search_key(last_name) COLLATE "C", id);

CREATE INDEX customers_number ON public.customers USING btree (customer_number, id);

CREATE INDEX customers_search ON public.customers USING gin (search_text public.gin_trgm_ops);

CREATE INDEX customers_tags ON public.customers USING gin (tags);

CREATE INDEX customers_updated ON public.customers USING btree (updated_at, id);

CREATE INDEX customers_user ON public.customers USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE TABLE public.due_work (
    name text NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone
);

ALTER TABLE ONLY public.due_work
    ADD CONSTRAINT due_work_pkey PRIMARY KEY (name);

CREATE TABLE public.early_reversals (
    source text NOT NULL,
    external_id text NOT NULL,
    refund_id text NOT NULL,
    request jsonb NOT NULL,
    refused_as text,
    received_by uuid,
    received_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.early_reversals
    ADD CONSTRAINT early_reversals_pkey PRIMARY KEY (source, external_id, refund_id);

CREATE INDEX early_reversals_received ON public.early_reversals USING btree (received_at);

CREATE TABLE public.engagement_events (
    customer_id uuid NOT NULL,
    event_id text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT engagement_events_kind_check CHECK ((kind = ANY (ARRAY['sent'::text, 'delivered'::text, 'opened'::text, 'clicked'::text, 'bounced'::text, 'unsubscribed'::text, 'complained'::text])))
);

ALTER TABLE ONLY public.engagement_events
    ADD CONSTRAINT engagement_events_pkey PRIMARY KEY (customer_id, event_id);

CREATE INDEX engagement_events_message ON public.engagement_events USING btree (customer_id, message_id);

CREATE INDEX engagement_events_recorded ON public.engagement_events USING btree (recorded_at);

ALTER TABLE ONLY public.engagement_events
    ADD CONSTRAINT engagement_events_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.erasure_log (
    customer_id uuid NOT NULL,
    erased_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    requested_by uuid,
    proof bytea NOT NULL,
    email_hash bytea,
    phone_hash bytea,
    points_closed bigint DEFAULT 0 NOT NULL,
    rows jsonb DEFAULT '{}'::jsonb NOT NULL,
    completed_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    CONSTRAINT erasure_log_check CHECK (((confirmed_at IS NULL) OR (completed_at IS NOT NULL))),
    CONSTRAINT erasure_log_reason_check CHECK ((reason = ANY (ARRAY['request'::text, 'deletion'::text, 'inactivity'::text, 'other'::text])))
);

ALTER TABLE ONLY public.erasure_log
    ADD CONSTRAINT erasure_log_pkey PRIMARY KEY (customer_id);

CREATE INDEX erasure_log_email ON public.erasure_log USING btree (email_hash) WHERE (email_hash IS NOT NULL);

CREATE INDEX erasure_log_open ON public.erasure_log USING btree (erased_at) WHERE (confirmed_at IS NULL);

CREATE INDEX erasure_log_phone ON public.erasure_log USING btree (phone_hash) WHERE (phone_hash IS NOT NULL);

CREATE TABLE public.events (
    "position" bigint NOT NULL,
    written_by xid8 DEFAULT pg_current_xact_id() NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    customer_id uuid,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    trace_id text,
    CONSTRAINT events_facts_check CHECK ((jsonb_typeof(facts) = 'object'::text)),
    CONSTRAINT events_kind_check CHECK ((kind ~ '^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$'::text))
);

ALTER TABLE public.events ALTER COLUMN "position" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");

CREATE TABLE public.idempotency_keys (
    key text NOT NULL,
    principal_id uuid NOT NULL,
    request_hash bytea NOT NULL,
    status smallint,
    headers jsonb,
    body bytea,
    customer_id uuid,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key, principal_id);

CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at);

CREATE INDEX idempotency_keys_customer ON public.idempotency_keys USING btree (customer_id) WHERE (customer_id IS NOT NULL);

CREATE TABLE public.job_pieces (
    job_id uuid NOT NULL,
    part text NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT job_pieces_part_check CHECK ((part = ANY (ARRAY['input'::text, 'result'::text])))
);

ALTER TABLE ONLY public.job_pieces
    ADD CONSTRAINT job_pieces_pkey PRIMARY KEY (job_id, part, number);

ALTER TABLE ONLY public.job_pieces
    ADD CONSTRAINT job_pieces_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;

CREATE TABLE public.jobs (
    id uuid NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    progress smallint DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    creator_kind text NOT NULL,
    creator_id uuid,
    also_asked_by uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    customer_id uuid,
    same_as text,
    arguments jsonb DEFAULT '{}'::jsonb NOT NULL,
    is_fetched_once boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    heard_at timestamp with time zone,
    finished_at timestamp with time zone,
    result_until timestamp with time zone,
    result_media_type text,
    result_name text,
    names_people boolean DEFAULT false NOT NULL,
    error jsonb,
    CONSTRAINT jobs_check CHECK (((creator_id IS NULL) = (creator_kind = 'operator'::text))),
    CONSTRAINT jobs_check1 CHECK (((finished_at IS NOT NULL) = (state = ANY (ARRAY['succeeded'::text, 'failed'::text])))),
    CONSTRAINT jobs_check2 CHECK (((result_media_type IS NOT NULL) = (state = 'succeeded'::text))),
    CONSTRAINT jobs_check3 CHECK (((error IS NOT NULL) = (state = 'failed'::text))),
    CONSTRAINT jobs_creator_kind_check CHECK ((creator_kind = ANY (ARRAY['user'::text, 'client'::text, 'operator'::text]))),
    CONSTRAINT jobs_progress_check CHECK (((progress >= 0) AND (progress <= 100))),
    CONSTRAINT jobs_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text])))
);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

CREATE INDEX jobs_customer_id ON public.jobs USING btree (customer_id) WHERE (customer_id IS NOT NULL);

CREATE INDEX jobs_finished_at ON public.jobs USING btree (finished_at);

CREATE INDEX jobs_result_until ON public.jobs USING btree (result_until);

CREATE UNIQUE INDEX jobs_same_as ON public.jobs USING btree (same_as) WHERE (finished_at IS NULL);

CREATE INDEX jobs_unfinished ON public.jobs USING btree (created_at) WHERE (finished_at IS NULL);

CREATE TABLE public.kept_settings (
    name text NOT NULL,
    value text NOT NULL,
    kept_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.kept_settings
    ADD CONSTRAINT kept_settings_pkey PRIMARY KEY (name);

CREATE TABLE public.loyalty_accounts (
    customer_id uuid NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    lifetime_points bigint DEFAULT 0 NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    last_hash bytea,
    tier text DEFAULT 'bronze'::text NOT NULL,
    tier_is_manual boolean DEFAULT false NOT NULL,
    tier_until timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT loyalty_accounts_check CHECK (((last_seq = 0) = (last_hash IS NULL))),
    CONSTRAINT loyalty_accounts_check1 CHECK (((tier_until IS NULL) OR tier_is_manual)),
    CONSTRAINT loyalty_accounts_last_hash_check CHECK ((octet_length(last_hash) = 32)),
    CONSTRAINT loyalty_accounts_last_seq_check CHECK ((last_seq >= 0)),
    CONSTRAINT loyalty_accounts_lifetime_points_check CHECK ((lifetime_points >= 0)),
    CONSTRAINT loyalty_accounts_tier_check CHECK ((tier = ANY (ARRAY['bronze'::text, 'silver'::text, 'gold'::text, 'platinum'::text])))
);

ALTER TABLE ONLY public.loyalty_accounts
    ADD CONSTRAINT loyalty_accounts_pkey PRIMARY KEY (customer_id);

CREATE INDEX loyalty_accounts_balance ON public.loyalty_accounts USING btree (balance, customer_id);

CREATE INDEX loyalty_accounts_lifetime ON public.loyalty_accounts USING btree (lifetime_points, customer_id);

CREATE INDEX loyalty_accounts_tier ON public.loyalty_accounts USING btree (tier);

CREATE INDEX loyalty_accounts_touched ON public.loyalty_accounts USING brin (updated_at);

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON public.loyalty_accounts FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.loyalty_accounts ENABLE ALWAYS TRIGGER never_deleted;

CREATE TRIGGER note_added AFTER INSERT ON public.loyalty_accounts REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.note_loyalty_accounts_added();

ALTER TABLE public.loyalty_accounts ENABLE ALWAYS TRIGGER note_added;

CREATE TRIGGER note_changed AFTER UPDATE ON public.loyalty_accounts REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.note_loyalty_accounts_changed();

ALTER TABLE public.loyalty_accounts ENABLE ALWAYS TRIGGER note_changed;

CREATE TRIGGER owner_is_fixed BEFORE UPDATE OF customer_id ON public.loyalty_accounts FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.loyalty_accounts ENABLE ALWAYS TRIGGER owner_is_fixed;

ALTER TABLE ONLY public.loyalty_accounts
    ADD CONSTRAINT loyalty_accounts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.loyalty_client_days (
    client_id uuid NOT NULL,
    day date NOT NULL,
    points bigint NOT NULL,
    CONSTRAINT loyalty_client_days_points_check CHECK ((points >= 0))
);

ALTER TABLE ONLY public.loyalty_client_days
    ADD CONSTRAINT loyalty_client_days_pkey PRIMARY KEY (client_id, day);

ALTER TABLE ONLY public.loyalty_client_days
    ADD CONSTRAINT loyalty_client_days_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.api_clients(id);

CREATE TABLE public.loyalty_notes (
    customer_id uuid NOT NULL,
    seq bigint NOT NULL,
    description text,
    metadata jsonb
);

ALTER TABLE ONLY public.loyalty_notes
    ADD CONSTRAINT loyalty_notes_pkey PRIMARY KEY (customer_id, seq);

ALTER TABLE ONLY public.loyalty_notes
    ADD CONSTRAINT loyalty_notes_customer_id_seq_fkey FOREIGN KEY (customer_id, seq) REFERENCES public.loyalty_transactions(customer_id, seq);

CREATE TABLE public.loyalty_programmes (
    version integer NOT NULL,
    points_per_unit numeric(12,4) NOT NULL,
    earning_base text NOT NULL,
    earns_on_shipping boolean NOT NULL,
    rounding text NOT NULL,
    expiry_days integer,
    restore_grace_days integer NOT NULL,
    welcome_bonus_points bigint NOT NULL,
    point_value numeric(18,6) NOT NULL,
    refund_policy text NOT NULL,
    debt_floor bigint NOT NULL,
    silver_from bigint NOT NULL,
    gold_from bigint NOT NULL,
    platinum_from bigint NOT NULL,
    downgrades_at_once boolean NOT NULL,
    created_by uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT loyalty_programmes_check CHECK ((gold_from > silver_from)),
    CONSTRAINT loyalty_programmes_check1 CHECK ((platinum_from > gold_from)),
    CONSTRAINT loyalty_programmes_debt_floor_check CHECK ((debt_floor <= 0)),
    CONSTRAINT loyalty_programmes_earning_base_check CHECK ((earning_base = ANY (ARRAY['with_tax'::text, 'without_tax'::text]))),
    CONSTRAINT loyalty_programmes_expiry_days_check CHECK (((expiry_days >= 1) AND (expiry_days <= 3650))),
    CONSTRAINT loyalty_programmes_point_value_check CHECK ((point_value >= (0)::numeric)),
    CONSTRAINT loyalty_programmes_points_per_unit_check CHECK ((points_per_unit >= (0)::numeric)),
    CONSTRAINT loyalty_programmes_refund_policy_check CHECK ((refund_policy = ANY (ARRAY['allow_debt'::text, 'cap_at_zero'::text, 'reduce_refund'::text]))),
    CONSTRAINT loyalty_programmes_restore_grace_days_check CHECK (((restore_grace_days >= 1) AND (restore_grace_days <= 3650))),
    CONSTRAINT loyalty_programmes_rounding_check CHECK ((rounding = 'down'::text)),
    CONSTRAINT loyalty_programmes_silver_from_check CHECK ((silver_from > 0)),
    CONSTRAINT loyalty_programmes_version_check CHECK ((version >= 1)),
    CONSTRAINT loyalty_programmes_welcome_bonus_points_check CHECK (((welcome_bonus_points >= 0) AND (welcome_bonus_points <= 10000000)))
);

ALTER TABLE ONLY public.loyalty_programmes
    ADD CONSTRAINT loyalty_programmes_pkey PRIMARY KEY (version);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.loyalty_programmes FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.loyalty_programmes ENABLE ALWAYS TRIGGER append_only;

CREATE TABLE public.loyalty_reviews (
    customer_id uuid NOT NULL,
    rules text[] NOT NULL,
    found_at timestamp with time zone NOT NULL,
    CONSTRAINT loyalty_reviews_rules_check CHECK ((cardinality(rules) > 0))
);

ALTER TABLE ONLY public.loyalty_reviews
    ADD CONSTRAINT loyalty_reviews_pkey PRIMARY KEY (customer_id);

CREATE TABLE public.loyalty_tier_changes (
    customer_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    tier_before text NOT NULL,
    tier text NOT NULL,
    is_manual boolean NOT NULL,
    tier_until timestamp with time zone,
    reason text,
    created_by uuid,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.loyalty_tier_changes
    ADD CONSTRAINT loyalty_tier_changes_pkey PRIMARY KEY (customer_id, id);

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON public.loyalty_tier_changes FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.loyalty_tier_changes ENABLE ALWAYS TRIGGER never_deleted;

ALTER TABLE ONLY public.loyalty_tier_changes
    ADD CONSTRAINT loyalty_tier_changes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.loyalty_accounts(customer_id);

CREATE UNLOGGED TABLE public.loyalty_touched (
    transaction_id xid8 NOT NULL,
    part bigint NOT NULL,
    moves public.loyalty_move[] NOT NULL
);
ALTER TABLE ONLY public.loyalty_touched ALTER COLUMN moves SET STORAGE EXTERNAL;

ALTER TABLE public.loyalty_touched ALTER COLUMN part ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_touched_part_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.loyalty_touched
    ADD CONSTRAINT loyalty_touched_pkey PRIMARY KEY (transaction_id, part);

CREATE CONSTRAINT TRIGGER reconcile AFTER INSERT ON public.loyalty_touched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.loyalty_reconcile();

ALTER TABLE public.loyalty_touched ENABLE ALWAYS TRIGGER reconcile;

CREATE TABLE public.loyalty_transactions (
    customer_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL,
    transaction_type text NOT NULL,
    points bigint NOT NULL,
    balance_before bigint NOT NULL,
    balance_after bigint NOT NULL,
    prev_seq bigint GENERATED ALWAYS AS (NULLIF((seq - 1), 0)) STORED,
    qualifies boolean DEFAULT false NOT NULL,
    rule text,
    reason_code text,
    order_id uuid,
    refund_id uuid,
    reverses_transaction_id uuid,
    programme_version integer,
    expires_at timestamp with time zone,
    created_by uuid,
    created_at timestamp with time zone NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT adjustment_has_reason CHECK (((reason_code IS NOT NULL) OR (transaction_type <> ALL (ARRAY['ADJUSTED_ADD'::text, 'ADJUSTED_SUB'::text])))),
    CONSTRAINT award_has_programme CHECK (((programme_version IS NOT NULL) OR (transaction_type <> ALL (ARRAY['EARNED'::text, 'REFUND_CLAWBACK'::text])))),
    CONSTRAINT award_has_rule CHECK (((transaction_type = 'EARNED'::text) = (rule IS NOT NULL))),
    CONSTRAINT claw_back_has_refund CHECK (((transaction_type = 'REFUND_CLAWBACK'::text) = (refund_id IS NOT NULL))),
    CONSTRAINT loyalty_transactions_check CHECK ((balance_after = (balance_before + points))),
    CONSTRAINT loyalty_transactions_hash_check CHECK ((octet_length(hash) = 32)),
    CONSTRAINT loyalty_transactions_points_check CHECK ((points <> 0)),
    CONSTRAINT loyalty_transactions_reason_code_check CHECK ((reason_code ~ '^[a-z][a-z0-9_]{0,63}$'::text)),
    CONSTRAINT loyalty_transactions_rule_check CHECK ((rule ~ '^[a-z][a-z0-9_:.-]{0,99}$'::text)),
    CONSTRAINT loyalty_transactions_seq_check CHECK ((seq >= 1)),
    CONSTRAINT loyalty_transactions_transaction_type_check CHECK ((transaction_type = ANY (ARRAY['EARNED'::text, 'REDEEMED'::text, 'EXPIRED'::text, 'ADJUSTED_ADD'::text, 'ADJUSTED_SUB'::text, 'REFUND_CLAWBACK'::text, 'REDEEM_RESTORED'::text]))),
    CONSTRAINT no_overdraft CHECK (((balance_after >= 0) OR (points > 0) OR (transaction_type = 'REFUND_CLAWBACK'::text))),
    CONSTRAINT only_awards_qualify CHECK (((NOT qualifies) OR (transaction_type = 'EARNED'::text))),
    CONSTRAINT only_gains_expire CHECK (((expires_at IS NULL) OR ((points > 0) AND (expires_at > created_at)))),
    CONSTRAINT reversal_names_original CHECK (((transaction_type = ANY (ARRAY['REFUND_CLAWBACK'::text, 'REDEEM_RESTORED'::text])) = (reverses_transaction_id IS NOT NULL))),
    CONSTRAINT sign_fits_type CHECK (((points > 0) = (transaction_type = ANY (ARRAY['EARNED'::text, 'ADJUSTED_ADD'::text, 'REDEEM_RESTORED'::text])))),
    CONSTRAINT starts_at_zero CHECK (((seq > 1) OR (balance_before = 0)))
);

ALTER TABLE ONLY public.loyalty_transactions
    ADD CONSTRAINT loyalty_transactions_customer_id_seq_balance_after_key UNIQUE (customer_id, seq, balance_after);

ALTER TABLE ONLY public.loyalty_transactions
    ADD CONSTRAINT loyalty_transactions_id_customer_id_key UNIQUE (id, customer_id);

ALTER TABLE ONLY public.loyalty_transactions
    ADD CONSTRAINT loyalty_transactions_pkey PRIMARY KEY (customer_id, seq);

CREATE INDEX loyalty_transactions_type ON public.loyalty_transactions USING btree (transaction_type, created_at) INCLUDE (points);

CREATE UNIQUE INDEX one_award_per_order_and_rule ON public.loyalty_transactions USING btree (order_id, rule, customer_id) WHERE ((transaction_type = 'EARNED'::text) AND (order_id IS NOT NULL));

CREATE UNIQUE INDEX one_claw_back_per_refund_and_award ON public.loyalty_transactions USING btree (customer_id, reverses_transaction_id, refund_id) WHERE (transaction_type = 'REFUND_CLAWBACK'::text);

CREATE UNIQUE INDEX one_opening_balance ON public.loyalty_transactions USING btree (customer_id) WHERE ((transaction_type = 'ADJUSTED_ADD'::text) AND (reason_code = 'opening_balance'::text));

CREATE UNIQUE INDEX one_welcome_bonus ON public.loyalty_transactions USING btree (customer_id) WHERE ((transaction_type = 'EARNED'::text) AND (rule = 'welcome'::text));

CREATE INDEX restores_of_redemption ON public.loyalty_transactions USING btree (customer_id, reverses_transaction_id) WHERE (transaction_type = 'REDEEM_RESTORED'::text);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.loyalty_transactions FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.loyalty_transactions ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER note_added AFTER INSERT ON public.loyalty_transactions REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.note_loyalty_transactions_added();

ALTER TABLE public.loyalty_transactions ENABLE ALWAYS TRIGGER note_added;

ALTER TABLE ONLY public.loyalty_transactions
    ADD CONSTRAINT loyalty_transactions_customer_id_prev_seq_balance_before_fkey FOREIGN KEY (customer_id, prev_seq, balance_before) REFERENCES public.loyalty_transactions(customer_id, seq, balance_after);

CREATE TABLE public.order_identifiers (
    source text NOT NULL,
    external_id text NOT NULL,
    customer_id uuid NOT NULL,
    order_id uuid NOT NULL
);

ALTER TABLE ONLY public.order_identifiers
    ADD CONSTRAINT order_identifiers_pkey PRIMARY KEY (source, external_id);

CREATE TABLE public.order_lines (
    customer_id uuid NOT NULL,
    order_id uuid NOT NULL,
    line_number integer NOT NULL,
    sku text NOT NULL,
    quantity numeric(14,3) NOT NULL,
    unit_price numeric(18,4) NOT NULL,
    discount numeric(18,4) DEFAULT 0 NOT NULL,
    total numeric(18,4) NOT NULL,
    CONSTRAINT order_lines_line_number_check CHECK ((line_number > 0))
);

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_pkey PRIMARY KEY (customer_id, order_id, line_number);

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_customer_id_order_id_fkey FOREIGN KEY (customer_id, order_id) REFERENCES public.orders(customer_id, id);

CREATE TABLE public.orders (
    customer_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    source text NOT NULL,
    external_id text NOT NULL,
    status text DEFAULT 'paid'::text NOT NULL,
    currency text NOT NULL,
    ordered_at timestamp with time zone NOT NULL,
    ordered_on date NOT NULL,
    total numeric(18,4) NOT NULL,
    discount_total numeric(18,4) DEFAULT 0 NOT NULL,
    tax_total numeric(18,4) DEFAULT 0 NOT NULL,
    shipping_total numeric(18,4) DEFAULT 0 NOT NULL,
    refunded_total numeric(18,4) DEFAULT 0 NOT NULL,
    cancelled_on date,
    channel text,
    metadata jsonb,
    content_hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    cash_rounding numeric(18,4) DEFAULT 0 NOT NULL,
    CONSTRAINT orders_check CHECK (((refunded_total >= (0)::numeric) AND (refunded_total <= total))),
    CONSTRAINT orders_check1 CHECK (((status = 'cancelled'::text) = (cancelled_on IS NOT NULL))),
    CONSTRAINT orders_discount_total_check CHECK ((discount_total >= (0)::numeric)),
    CONSTRAINT orders_shipping_total_check CHECK ((shipping_total >= (0)::numeric)),
    CONSTRAINT orders_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'paid'::text, 'fulfilled'::text, 'cancelled'::text, 'partially_refunded'::text, 'refunded'::text]))),
    CONSTRAINT orders_tax_total_check CHECK ((tax_total >= (0)::numeric)),
    CONSTRAINT orders_total_check CHECK ((total >= (0)::numeric))
);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (customer_id, id);

CREATE INDEX orders_by_id ON public.orders USING btree (id) INCLUDE (customer_id);

CREATE INDEX orders_facts ON public.orders USING btree (customer_id, ordered_on) INCLUDE (total, refunded_total, cancelled_on);

CREATE INDEX orders_ordered ON public.orders USING btree (ordered_at, id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.point_allocations (
    customer_id uuid NOT NULL,
    seq bigint NOT NULL,
    lot_id uuid,
    points bigint NOT NULL,
    is_expiry boolean NOT NULL,
    CONSTRAINT point_allocations_check CHECK (((NOT is_expiry) OR ((points < 0) AND (lot_id IS NOT NULL)))),
    CONSTRAINT point_allocations_points_check CHECK ((points <> 0))
);

ALTER TABLE ONLY public.point_allocations
    ADD CONSTRAINT one_allocation_per_lot UNIQUE NULLS NOT DISTINCT (customer_id, seq, lot_id);

CREATE UNIQUE INDEX a_lot_expires_once ON public.point_allocations USING btree (customer_id, lot_id) WHERE is_expiry;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.point_allocations FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.point_allocations ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER note_added AFTER INSERT ON public.point_allocations REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.note_point_allocations_added();

ALTER TABLE public.point_allocations ENABLE ALWAYS TRIGGER note_added;

CREATE TABLE public.point_clawbacks (
    customer_id uuid NOT NULL,
    refund_id uuid NOT NULL,
    award_id uuid NOT NULL,
    order_id uuid NOT NULL,
    transaction_id uuid,
    due bigint NOT NULL,
    expired bigint NOT NULL,
    written_off bigint NOT NULL,
    taken bigint NOT NULL,
    lifetime_points bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT point_clawbacks_check CHECK (((taken = ((due - expired) - written_off)) AND (taken >= 0))),
    CONSTRAINT point_clawbacks_check1 CHECK (((lifetime_points >= 0) AND (lifetime_points <= due))),
    CONSTRAINT point_clawbacks_check2 CHECK (((taken > 0) = (transaction_id IS NOT NULL))),
    CONSTRAINT point_clawbacks_due_check CHECK ((due >= 0)),
    CONSTRAINT point_clawbacks_expired_check CHECK ((expired >= 0)),
    CONSTRAINT point_clawbacks_written_off_check CHECK ((written_off >= 0))
);

ALTER TABLE ONLY public.point_clawbacks
    ADD CONSTRAINT point_clawbacks_pkey PRIMARY KEY (customer_id, award_id, refund_id);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.point_clawbacks FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.point_clawbacks ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER note_added AFTER INSERT ON public.point_clawbacks REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.note_point_clawbacks_added();

ALTER TABLE public.point_clawbacks ENABLE ALWAYS TRIGGER note_added;

CREATE TABLE public.point_lots (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    seq bigint NOT NULL,
    origin_id uuid NOT NULL,
    earned bigint NOT NULL,
    remaining bigint NOT NULL,
    earned_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT point_lots_check CHECK (((remaining >= 0) AND (remaining <= earned))),
    CONSTRAINT point_lots_check1 CHECK ((expires_at > earned_at)),
    CONSTRAINT point_lots_earned_check CHECK ((earned > 0))
)
WITH (fillfactor='85');

ALTER TABLE ONLY public.point_lots
    ADD CONSTRAINT point_lots_pkey PRIMARY KEY (customer_id, id);

CREATE INDEX point_lots_due ON public.point_lots USING btree (expires_at, customer_id) WHERE ((remaining > 0) AND (expires_at IS NOT NULL));

CREATE INDEX point_lots_in_order_of_use ON public.point_lots USING btree (customer_id, expires_at, earned_at, id) INCLUDE (remaining) WHERE (remaining > 0);

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON public.point_lots FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.point_lots ENABLE ALWAYS TRIGGER never_deleted;

CREATE TRIGGER note_added AFTER INSERT ON public.point_lots REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.note_point_lots_added();

ALTER TABLE public.point_lots ENABLE ALWAYS TRIGGER note_added;

CREATE TRIGGER note_changed AFTER UPDATE ON public.point_lots REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.note_point_lots_changed();

ALTER TABLE public.point_lots ENABLE ALWAYS TRIGGER note_changed;

CREATE TRIGGER only_remaining_changes BEFORE UPDATE OF customer_id, id, seq, origin_id, earned, earned_at, expires_at ON public.point_lots FOR EACH STATEMENT EXECUTE FUNCTION public.loyalty_refuse_change();

ALTER TABLE public.point_lots ENABLE ALWAYS TRIGGER only_remaining_changes;

CREATE TABLE public.products (
    sku text NOT NULL,
    name text,
    brand text,
    category text,
    department text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    search_text text GENERATED ALWAYS AS (((public.search_key(sku) || ' '::text) || COALESCE(public.search_key(name), ''::text))) STORED NOT NULL
);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (sku);

CREATE INDEX products_brand ON public.products USING btree (brand, sku);

CREATE INDEX products_category ON public.products USING btree (category, sku);

CREATE INDEX products_department ON public.products USING btree (department, sku);

CREATE INDEX products_search ON public.products USING gin (search_text public.gin_trgm_ops);

CREATE TABLE public.rate_limits (
    kind text NOT NULL,
    subject_hash bytea NOT NULL,
    taken_at timestamp with time zone[] NOT NULL,
    forget_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (kind, subject_hash);

CREATE INDEX rate_limits_forget ON public.rate_limits USING btree (forget_at);

CREATE TABLE public.refresh_tokens (
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    used_by bytea
);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

CREATE INDEX refresh_tokens_expiry ON public.refresh_tokens USING btree (expires_at);

CREATE INDEX refresh_tokens_session ON public.refresh_tokens USING btree (session_id);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;

CREATE TABLE public.refund_lines (
    customer_id uuid NOT NULL,
    refund_id uuid NOT NULL,
    line_number integer NOT NULL,
    quantity numeric(14,3) NOT NULL,
    amount numeric(18,4) NOT NULL,
    CONSTRAINT refund_lines_amount_check CHECK ((amount >= (0)::numeric)),
    CONSTRAINT refund_lines_line_number_check CHECK ((line_number > 0)),
    CONSTRAINT refund_lines_quantity_check CHECK ((quantity > (0)::numeric))
);

ALTER TABLE ONLY public.refund_lines
    ADD CONSTRAINT refund_lines_pkey PRIMARY KEY (customer_id, refund_id, line_number);

ALTER TABLE ONLY public.refund_lines
    ADD CONSTRAINT refund_lines_customer_id_refund_id_fkey FOREIGN KEY (customer_id, refund_id) REFERENCES public.refunds(customer_id, id);

CREATE TABLE public.refunds (
    customer_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    order_id uuid NOT NULL,
    refund_id text NOT NULL,
    amount numeric(18,4) NOT NULL,
    refunded_at timestamp with time zone NOT NULL,
    refunded_on date NOT NULL,
    reason_code text,
    created_at timestamp with time zone NOT NULL,
    shipping_amount numeric(18,4) DEFAULT 0 NOT NULL,
    CONSTRAINT refunds_amount_check CHECK ((amount >= (0)::numeric)),
    CONSTRAINT refunds_check CHECK (((shipping_amount >= (0)::numeric) AND (shipping_amount <= amount)))
);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_customer_id_order_id_refund_id_key UNIQUE (customer_id, order_id, refund_id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_pkey PRIMARY KEY (customer_id, id);

CREATE INDEX refunds_day ON public.refunds USING btree (refunded_on);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_customer_id_order_id_fkey FOREIGN KEY (customer_id, order_id) REFERENCES public.orders(customer_id, id);

CREATE TABLE public.registrations (
    id uuid DEFAULT uuidv7() NOT NULL,
    password_hash text NOT NULL,
    profile jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.registrations
    ADD CONSTRAINT registrations_pkey PRIMARY KEY (id);

CREATE INDEX registrations_expiry ON public.registrations USING btree (expires_at);

CREATE TABLE public.scoring_runs (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    coverage text NOT NULL,
    as_of date NOT NULL,
    method text,
    history_days integer,
    window_days integer,
    edges jsonb,
    edges_run_id uuid,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    seconds jsonb DEFAULT '{}'::jsonb NOT NULL,
    started_by text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT scoring_runs_coverage_check CHECK ((coverage = ANY (ARRAY['full'::text, 'stale'::text, 'selected'::text, 'live'::text]))),
    CONSTRAINT scoring_runs_history_days_check CHECK ((history_days > 0)),
    CONSTRAINT scoring_runs_kind_check CHECK ((kind = ANY (ARRAY['rfm'::text, 'clv'::text, 'all'::text]))),
    CONSTRAINT scoring_runs_method_check CHECK ((method = ANY (ARRAY['seed'::text, 'model'::text, 'blend'::text]))),
    CONSTRAINT scoring_runs_window_days_check CHECK ((window_days > 0))
);

ALTER TABLE ONLY public.scoring_runs
    ADD CONSTRAINT scoring_runs_pkey PRIMARY KEY (id);

CREATE INDEX scoring_runs_finished ON public.scoring_runs USING btree (kind, coverage, finished_at DESC);

CREATE UNIQUE INDEX scoring_runs_live ON public.scoring_runs USING btree (as_of, ((parameters ->> 'rfm_run_id'::text)), ((parameters ->> 'clv_run_id'::text))) NULLS NOT DISTINCT WHERE (coverage = 'live'::text);

ALTER TABLE ONLY public.scoring_runs
    ADD CONSTRAINT scoring_runs_edges_run_id_fkey FOREIGN KEY (edges_run_id) REFERENCES public.scoring_runs(id);

CREATE TABLE public.segment_history (
    customer_id uuid NOT NULL,
    run_id uuid NOT NULL,
    segment_before text,
    segment text NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.segment_history
    ADD CONSTRAINT segment_history_pkey PRIMARY KEY (customer_id, run_id, changed_at);

CREATE INDEX segment_history_changed ON public.segment_history USING btree (changed_at);

CREATE TABLE public.sending_days (
    day date NOT NULL,
    medium text NOT NULL,
    messages integer NOT NULL,
    CONSTRAINT sending_days_medium_check CHECK ((medium = ANY (ARRAY['mail'::text, 'text'::text]))),
    CONSTRAINT sending_days_messages_check CHECK ((messages > 0))
);

ALTER TABLE ONLY public.sending_days
    ADD CONSTRAINT sending_days_pkey PRIMARY KEY (day, medium);

CREATE TABLE public.sessions (
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    client_id uuid,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    own_password_changes integer DEFAULT 0 NOT NULL,
    CONSTRAINT sessions_check CHECK ((num_nonnulls(user_id, client_id) = 1))
);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

CREATE INDEX sessions_client ON public.sessions USING btree (client_id) WHERE (closed_at IS NULL);

CREATE INDEX sessions_expiry ON public.sessions USING btree (expires_at);

CREATE INDEX sessions_user ON public.sessions USING btree (user_id) WHERE (closed_at IS NULL);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.api_clients(id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

CREATE TABLE public.shared_contacts (
    kind text NOT NULL,
    value text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT shared_contacts_kind_check CHECK ((kind = ANY (ARRAY['email'::text, 'phone'::text])))
);

ALTER TABLE ONLY public.shared_contacts
    ADD CONSTRAINT shared_contacts_pkey PRIMARY KEY (kind, value);

CREATE TABLE public.sign_in_failures (
    id uuid DEFAULT uuidv7() NOT NULL,
    account_hash bytea NOT NULL,
    failed_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.sign_in_failures
    ADD CONSTRAINT sign_in_failures_pkey PRIMARY KEY (id);

CREATE INDEX sign_in_failures_account ON public.sign_in_failures USING btree (account_hash, failed_at);

CREATE INDEX sign_in_failures_time ON public.sign_in_failures USING btree (failed_at);

CREATE TABLE public.suppressed_contacts (
    customer_id uuid NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    reason text NOT NULL,
    suppressed_at timestamp with time zone NOT NULL,
    CONSTRAINT suppressed_contacts_address_check CHECK ((address <> ''::text)),
    CONSTRAINT suppressed_contacts_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text]))),
    CONSTRAINT suppressed_contacts_reason_check CHECK ((reason = ANY (ARRAY['bounced'::text, 'complained'::text, 'withdrawn'::text])))
);

ALTER TABLE ONLY public.suppressed_contacts
    ADD CONSTRAINT suppressed_contacts_pkey PRIMARY KEY (customer_id, channel, address);

CREATE INDEX suppressed_contacts_channel ON public.suppressed_contacts USING btree (channel);

ALTER TABLE ONLY public.suppressed_contacts
    ADD CONSTRAINT suppressed_contacts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE TABLE public.users (
    id uuid DEFAULT uuidv7() NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    customer_id uuid,
    is_enabled boolean DEFAULT true NOT NULL,
    auth_epoch integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT users_check CHECK (((role = 'customer'::text) = (customer_id IS NOT NULL))),
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'staff'::text, 'analyst'::text, 'admin'::text])))
);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_customer_id_key UNIQUE (customer_id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE TABLE public.verifications (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    address text NOT NULL,
    secret_hash bytea,
    attempts smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT verifications_kind_check CHECK ((kind = ANY (ARRAY['email'::text, 'phone'::text, 'password_reset'::text, 'registration'::text, 'old_email'::text, 'old_phone'::text])))
);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_id_key UNIQUE (id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (kind, subject_id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_secret_hash_key UNIQUE (secret_hash);

CREATE INDEX verifications_expiry ON public.verifications USING btree (expires_at);

CREATE TABLE public.welcome_bonuses (
    contact_hash bytea NOT NULL,
    customer_id uuid NOT NULL,
    given_at timestamp with time zone NOT NULL,
    CONSTRAINT welcome_bonuses_contact_hash_check CHECK ((octet_length(contact_hash) = 32))
);

ALTER TABLE ONLY public.welcome_bonuses
    ADD CONSTRAINT welcome_bonuses_pkey PRIMARY KEY (contact_hash);

CREATE INDEX welcome_bonuses_customer ON public.welcome_bonuses USING btree (customer_id);
