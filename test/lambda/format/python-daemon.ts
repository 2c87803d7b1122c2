// What the Python daemon wrote for lines of test_decoding, recorded from its formatter.py (Python 2.7.18): the two CSV
// formats are byte for byte the same for a single key of ASCII letters, digits, "_" and "-".

/** A line, the key's column, and the daemon's two records. */
export const DAEMON: readonly { line: string; key: string; csv: string; csvPayload: string }[] = [
  {
    line: "table public.users: INSERT: id[integer]:42 name[text]:'Ada'",
    key: 'id',
    csv: '0,CDC,754,public.users,INSERT,42',
    csvPayload: '0,CDC,{"xid": "754", "table": "public.users", "operation": "INSERT", "pkey": "42"}',
  },
  {
    line: "table public.users: UPDATE: id[bigint]:-7 name[text]:'Ada'",
    key: 'id',
    csv: '0,CDC,754,public.users,UPDATE,-7',
    csvPayload: '0,CDC,{"xid": "754", "table": "public.users", "operation": "UPDATE", "pkey": "-7"}',
  },
  {
    line: "table public.users: DELETE: id[uuid]:'00079f3e-0479-4475-acff-4f225cc5188a'",
    key: 'id',
    csv: '0,CDC,754,public.users,DELETE,00079f3e-0479-4475-acff-4f225cc5188a',
    csvPayload:
      '0,CDC,{"xid": "754", "table": "public.users", "operation": "DELETE", "pkey": "00079f3e-0479-4475-acff-4f225cc5188a"}',
  },
  {
    line: "table public.users: INSERT: code[character varying]:'Bling_2'",
    key: 'code',
    csv: '0,CDC,754,public.users,INSERT,Bling_2',
    csvPayload: '0,CDC,{"xid": "754", "table": "public.users", "operation": "INSERT", "pkey": "Bling_2"}',
  },
  {
    line: 'table public.users: INSERT: ok[boolean]:true',
    key: 'ok',
    csv: '0,CDC,754,public.users,INSERT,true',
    csvPayload: '0,CDC,{"xid": "754", "table": "public.users", "operation": "INSERT", "pkey": "true"}',
  },
  {
    line: "table public.users: INSERT: day[date]:'2026-01-02'",
    key: 'day',
    csv: '0,CDC,754,public.users,INSERT,2026-01-02',
    csvPayload: '0,CDC,{"xid": "754", "table": "public.users", "operation": "INSERT", "pkey": "2026-01-02"}',
  },
];
