/** Definitions of a source, and what pg_dump 15.18 writes of them: tests cannot rely on that program being there. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BANK } from './bank.ts';

/**
 * A program that writes what pg_dump wrote, once.
 *
 * @param dir - where it is put
 * @param version - that it says it is of
 * @param dumped - what it writes
 * @returns its path
 */
export function fakeDump(dir: string, version: number, { preData = PRE_DATA, postData = POST_DATA } = {}): string {
  const path = join(dir, `pg_dump_${version}`);
  const text = (which: string): string => JSON.stringify(join(dir, which));
  writeFileSync(join(dir, 'pre-data'), preData);
  writeFileSync(join(dir, 'post-data'), postData);
  writeFileSync(
    path,
    `#!/bin/sh
case "$*" in
*--version*) echo 'pg_dump (PostgreSQL) ${version}.1';;
*--section=pre-data*) [ "$PGPASSWORD" != '' ] && cat ${text('pre-data')};;
*--section=post-data*) cat ${text('post-data')};;
esac`,
  );
  chmodSync(path, 0o700);
  return path;
}

/** The source. */
export const SOURCE = `${BANK}
  CREATE TABLE public.fixed (id integer PRIMARY KEY, v text);
  CREATE SEQUENCE public.numbers;
  CREATE INDEX orders_day ON public.orders (day);
  CREATE VIEW public.by_key AS SELECT f.id, f.v, count(*) AS n FROM public.fixed f GROUP BY f.id;
  CREATE MATERIALIZED VIEW public.stored AS SELECT f.id, f.v FROM public.fixed f GROUP BY f.id;
  CREATE VIEW public.over_stored AS SELECT * FROM public.stored;
  CREATE MATERIALIZED VIEW public.first_filled AS SELECT * FROM public.over_stored;
  CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  CREATE TRIGGER noted AFTER INSERT ON public.orders FOR EACH ROW EXECUTE PROCEDURE public.note();`;

/** `--section=pre-data` */
export const PRE_DATA = String.raw`--
-- PostgreSQL database dump
--

\restrict llIVz4QfC9yOyBNLk1wWOprNwu8mhUAcGkFbXSl9WfjmobbJtsaj6zuVGA0oKIr

-- Dumped from database version 15.18
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: note(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.note() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RETURN NULL; END$$;

--
-- Name: by_key; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.by_key AS
SELECT
    NULL::integer AS id,
    NULL::text AS v,
    NULL::bigint AS n;

--
-- Name: over_stored; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.over_stored AS
SELECT
    NULL::integer AS id,
    NULL::text AS v;

SET default_table_access_method = heap;

--
-- Name: first_filled; Type: MATERIALIZED VIEW; Schema: public; Owner: -
--

CREATE MATERIALIZED VIEW public.first_filled AS
 SELECT over_stored.id,
    over_stored.v
   FROM public.over_stored
  WITH NO DATA;

--
-- Name: fixed; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.fixed (
    id integer NOT NULL,
    v text
);

--
-- Name: left_accounts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.left_accounts (
    id integer NOT NULL,
    amount integer NOT NULL,
    note text
);
ALTER TABLE ONLY public.left_accounts ALTER COLUMN note SET STORAGE EXTERNAL;

--
-- Name: numbers; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: orders; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.orders (
    id numeric NOT NULL,
    part text NOT NULL,
    account numeric,
    doc jsonb,
    day date,
    big text
);
ALTER TABLE ONLY public.orders ALTER COLUMN big SET STORAGE EXTERNAL;

--
-- Name: right_accounts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.right_accounts (
    id numeric NOT NULL,
    amount integer NOT NULL,
    rank integer,
    note text
);
ALTER TABLE ONLY public.right_accounts ALTER COLUMN note SET STORAGE EXTERNAL;

--
-- PostgreSQL database dump complete
--

\unrestrict llIVz4QfC9yOyBNLk1wWOprNwu8mhUAcGkFbXSl9WfjmobbJtsaj6zuVGA0oKIr

`;

/** `--section=post-data`; pg_dump moves only a function of BEGIN ATOMIC behind the key, which older servers do not have. */
export const POST_DATA = String.raw`--
-- PostgreSQL database dump
--

\restrict I9zorFKNifiF2bTua8ptPv3dIosnqHxuQoqNdCSchJgGvupyeUW2bRJ7B0kUsVI

-- Dumped from database version 15.18
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: fixed fixed_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.fixed
    ADD CONSTRAINT fixed_pkey PRIMARY KEY (id);

--
-- Name: needs_key(integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.needs_key(x integer) RETURNS text
    LANGUAGE sql
    AS $$SELECT f.v FROM public.fixed f WHERE f.id = $1 GROUP BY f.id$$;

SET default_table_access_method = heap;

--
-- Name: stored; Type: MATERIALIZED VIEW; Schema: public; Owner: -
--

CREATE MATERIALIZED VIEW public.stored AS
 SELECT f.id,
    f.v
   FROM public.fixed f
  GROUP BY f.id
  WITH NO DATA;

--
-- Name: left_accounts left_accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.left_accounts
    ADD CONSTRAINT left_accounts_pkey PRIMARY KEY (id);

--
-- Name: orders orders_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (part, id);

--
-- Name: right_accounts right_accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.right_accounts
    ADD CONSTRAINT right_accounts_pkey PRIMARY KEY (id);

--
-- Name: right_accounts right_accounts_rank_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.right_accounts
    ADD CONSTRAINT right_accounts_rank_key UNIQUE (rank);

--
-- Name: orders_day; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX orders_day ON public.orders USING btree (day);

--
-- Name: by_key _RETURN; Type: RULE; Schema: public; Owner: -
--

CREATE OR REPLACE VIEW public.by_key AS
 SELECT f.id,
    f.v,
    count(*) AS n
   FROM public.fixed f
  GROUP BY f.id;

--
-- Name: over_stored _RETURN; Type: RULE; Schema: public; Owner: -
--

CREATE OR REPLACE VIEW public.over_stored AS
 SELECT stored.id,
    stored.v
   FROM public.stored;

--
-- Name: orders noted; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER noted AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.note();

--
-- Name: orders orders_account_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_account_fkey FOREIGN KEY (account) REFERENCES public.right_accounts(id) ON UPDATE CASCADE ON DELETE CASCADE;

--
-- PostgreSQL database dump complete
--

\unrestrict I9zorFKNifiF2bTua8ptPv3dIosnqHxuQoqNdCSchJgGvupyeUW2bRJ7B0kUsVI

`;
