import { DatabaseSync } from 'node:sqlite';
import { createAgent } from '../../src/sandbox/agent.ts';
import { WRITES_OF_A_LANE } from './drain-options.ts';
import type { DrainWorld } from './drain-world.ts';

/*
 * The volume is one lane, written by an agent through the proxy, and as many likenesses of it as are asked for: each column of each
 * row is what the proxy and the service have written, but for the lane's name (in requests and texts too) and the ids.
 */

type Journal = DrainWorld['journal'];

const PREFIX = 'drain-lane-';
const DIGITS = 7;
const TEMPLATE = PREFIX + '0'.repeat(DIGITS);
const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 50;

/** Writes the lane that the others are made of, and waits until the journal knows all of it. @throws Error */
export async function writeTemplate({ endpoint, journal }: DrainWorld): Promise<void> {
  await untilCovered(journal);
  const agent = createAgent({ endpoint });
  const ask = async (request: object): Promise<void> => {
    const reply = String(await agent.call(JSON.stringify({ session_id: TEMPLATE, ...request })));
    if (!reply.includes('"status": "success"')) throw new Error(`The template was answered ${reply}`);
  };
  try {
    await ask({
      action: 'create_session',
      user_id: 'ann',
      metadata: { vertical: 'travel' },
      request_id: 'c',
    });
    for (let turn = 1; turn < WRITES_OF_A_LANE; turn += 1) {
      const role = turn % 2 === 1 ? 'user' : 'assistant';
      const content = `Turn ${turn} of ${TEMPLATE}: what was said here is as long as a sentence in a chat usually is.`;
      await ask({ action: 'add_interaction', role, content, metadata: { turn }, request_id: `r${turn}` });
    }
  } finally {
    agent.close();
  }
  await until(
    journal,
    `select count(o.sequence) = ${WRITES_OF_A_LANE} and bool_and(l.seeded_coverage > 0) as is_so
     from lanes l left join outcomes o on o.lane_id = l.id and o.outcome = 'applied' where l.owner = '${TEMPLATE}'`,
  );
}

function untilCovered(journal: Journal): Promise<void> {
  return until(
    journal,
    `select exists (select from coverage where ended_at is null and quiet_at is not null) as is_so`,
  );
}

async function until(journal: Journal, question: string): Promise<void> {
  for (const untilMs = performance.now() + PATIENCE_MS; ;) {
    const [row] = await journal<{ is_so: boolean | null }>(question).catch(() => []);
    if (row?.is_so === true) return;
    if (performance.now() > untilMs) throw new Error(`Not so within ${PATIENCE_MS} ms: ${question}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

const OWNER = `'${PREFIX}' || lpad(number::text, ${DIGITS}, '0')`;

/** Puts the volume into the journal and into the legacy store, while no proxy runs. */
export async function multiply({ journal, sqliteFile }: DrainWorld, lanes: number): Promise<void> {
  const template = `(select id from lanes where owner = '${TEMPLATE}')`;
  await likenesses(journal, 'lanes', {
    skipped: ['id'],
    replaced: { key: renamed('t.key', OWNER), owner: OWNER },
    from: `lanes t cross join generate_series(1, ${lanes - 1}) number where t.owner = '${TEMPLATE}'`,
  });
  const rest = `cross join lanes l where t.lane_id = ${template} and l.owner like '${PREFIX}%' and l.id <> ${template} order by t.sequence, l.id`;
  await likenesses(journal, 'writes', {
    replaced: { lane_id: 'l.id', operation_id: 'uuidv7()', request: renamed('t.request', 'l.owner') },
    from: `writes t ${rest}`,
  });
  await likenesses(journal, 'outcomes', { replaced: { lane_id: 'l.id' }, from: `outcomes t ${rest}` });
  // As autovacuum does in the course of an hour.
  for (const table of ['lanes', 'writes', 'outcomes']) await journal(`analyze ${table}`);
  multiplyLegacy(sqliteFile, lanes);
}

function renamed(column: string, owner: string): string {
  return `replace(${column}, '${TEMPLATE}', ${owner})`;
}

interface Likenesses {
  readonly skipped?: readonly string[];
  /** Column → its expression; every other is the template's. */
  readonly replaced: Readonly<Record<string, string>>;
  readonly from: string;
}

async function likenesses(
  journal: Journal,
  table: string,
  { skipped = [], replaced, from }: Likenesses,
): Promise<void> {
  const rows = await journal<{ name: string }>(
    `select column_name as name from information_schema.columns
     where table_name = '${table}' and is_generated = 'NEVER' order by ordinal_position`,
  );
  const columns = rows.map(({ name }) => name).filter((name) => !skipped.includes(name));
  const values = columns.map((name) => replaced[name] ?? `t.${name}`);
  await journal(`insert into ${table} (${columns.join(', ')}) select ${values.join(', ')} from ${from}`);
}

function multiplyLegacy(file: string, lanes: number): void {
  const sqlite = new DatabaseSync(file, { timeout: PATIENCE_MS });
  const numbers = `with recursive numbers(number) as (select 1 where ${lanes} > 1 union all select number + 1 from numbers where number < ${lanes - 1}),
    owners as (select printf('${PREFIX}%0${DIGITS}d', number) as owner from numbers)`;
  sqlite.exec(`begin immediate;
    ${numbers} insert into sessions select owner, user_id, created_at, last_active, metadata
      from sessions cross join owners where session_id = '${TEMPLATE}';
    ${numbers} insert into interactions (session_id, timestamp, role, content, metadata)
      select owner, timestamp, role, replace(content, '${TEMPLATE}', owner), metadata
      from owners cross join interactions where session_id = '${TEMPLATE}' order by owner, id;
    commit`);
  sqlite.close();
}

/** How many lanes of the volume are not delivered to their end. */
export async function lanesWaiting(journal: Journal): Promise<number> {
  const [row] = await journal<{ count: number }>(
    `select count(*)::int as count from lanes where owner like '${PREFIX}%' and delivered_sequence < sequence`,
  );
  return row?.count ?? Number.NaN;
}
