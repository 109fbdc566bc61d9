import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { readLane, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession, getContext } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const TABLES = ['memory_lanes', 'memory_entries'];

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints[SERVICE], { ...request })).text;
}

interface Listed {
  readonly lane: string;
  readonly older: string;
  readonly state: string;
}

async function listed(): Promise<readonly Listed[]> {
  const { lanes } = (await (await fetch(`${deployment.httpUrl}/v1/restored`)).json()) as {
    readonly lanes: readonly Listed[];
  };
  return lanes;
}

async function accept(owner: string): Promise<Response> {
  return fetch(`${deployment.httpUrl}/v1/restored/accept`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ service: SERVICE, owners: [owner], person: 'ann', reason: 'restored' }),
  });
}

/** A session whose writes have moved, with one interaction from before and one from after. */
async function moved(session: string): Promise<void> {
  await ask(createSession(session));
  await ask(addInteraction(session, 'before'));
  await eventually('a delivered lane', async () => {
    const lane = await readLane(deployment, session);
    return lane?.delivered === 2 && lane.sequence === 2;
  });
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence where key = '${SERVICE}/${session}'`,
  );
  expect(await ask(addInteraction(session, 'after'))).toContain('success');
}

/** The orchestrator's rows as they are now, to be brought back. */
async function backUp(): Promise<() => Promise<void>> {
  for (const table of TABLES) await deployment.store(`create table kept_${table} as table ${table}`);
  const columns = async (table: string): Promise<string> => {
    const rows = await deployment.store<{ name: string }>(
      `select column_name as name from information_schema.columns
       where table_name = '${table}' and table_schema = 'public' and is_generated = 'NEVER' order by ordinal_position`,
    );
    return rows.map(({ name }) => name).join(', ');
  };
  return async () => {
    for (const table of TABLES) {
      const names = await columns(table);
      await deployment.store(`delete from ${table}`);
      await deployment.store(`insert into ${table} (${names}) select ${names} from kept_${table}`);
      await deployment.store(`drop table kept_${table}`);
    }
  };
}

describe('a restored orchestrator', () => {
  const SESSION = 's-store';

  test('gives errors, gets its writes again, and answers once a person accepts', async () => {
    await moved(SESSION);
    const restore = await backUp();
    for (const content of ['second', 'third']) await ask(addInteraction(SESSION, content));
    await eventually(
      'recorded outcomes',
      async () => (await readLane(deployment, SESSION))?.outcome === 'applied',
    );
    await restore();
    await deployment.restart();
    expect(await ask(addInteraction(SESSION, 'too early'))).toContain('a person must decide');
    expect(await ask(getContext(SESSION))).toContain('a person must decide');
    await eventually('the writes again', async () => (await listed())[0]?.state === 'redelivered');
    expect(await listed()).toMatchObject([{ lane: `${SERVICE}/${SESSION}`, older: 'orchestrator' }]);
    expect((await accept(SESSION)).status).toBe(200);
    expect(await ask(addInteraction(SESSION, 'later'))).toContain('success');
    const all = ['before', 'after', 'second', 'third', 'later'];
    expect(await readOrchestrator(deployment, SESSION)).toEqual(all.map((text) => `user: ${text}`));
    expect(await listed()).toEqual([]);
  });

  test('does not disturb a lane whose primary is legacy', async () => {
    await ask(createSession('s-legacy'));
    expect(await ask(addInteraction('s-legacy', 'one'))).toContain('success');
  });
});

async function legacyShows(session: string, texts: readonly string[]): Promise<void> {
  const shown = (): Promise<readonly string[]> => readLegacy(deployment, session);
  await expect.poll(shown, { timeout: 30_000 }).toEqual(texts.map((text) => `user: ${text}`));
}

describe('a restored journal', () => {
  const SESSION = 's-journal';
  const LANE = `${SERVICE}/${SESSION}`;

  test('does not give the writes of a moved lane to legacy again', async () => {
    await moved(SESSION);
    await legacyShows(SESSION, ['before', 'after']);
    await deployment.journal(`
      with back as (
        update lanes set primary_backend = 'legacy', epoch = 0, sequence = 2 where key = '${LANE}' returning id
      ), outcomes_gone as (delete from outcomes o using back where o.lane_id = back.id and o.sequence > 2)
      delete from writes w using back where w.lane_id = back.id and w.sequence > 2`);
    await deployment.restart();
    expect(await ask(addInteraction(SESSION, 'too early'))).toContain('a person must decide');
    expect(await listed()).toMatchObject([{ lane: LANE, older: 'journal', state: 'waits' }]);
    expect((await accept(SESSION)).status).toBe(200);
    expect(await ask(addInteraction(SESSION, 'later'))).toContain('success');
    expect(await readOrchestrator(deployment, SESSION)).toEqual([
      'user: before',
      'user: after',
      'user: later',
    ]);
    await legacyShows(SESSION, ['before', 'after', 'later']);
  });
});

test('a decision about a lane that is not listed is refused', async () => {
  const answer = await accept('nobody');
  expect(answer.status).toBe(409);
  expect(await answer.json()).toMatchObject({ error: 'nothing_waits' });
});
