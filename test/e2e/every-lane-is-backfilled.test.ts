import { userInfo } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLegacyStores } from '../accept/stores.ts';
import { createAgent } from '../../src/sandbox/agent.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { askOnce } from '../support/session-agent.ts';

const SESSIONS = 60;
const TURNS = 6;
const USERS = 40;
const COVERED = { dualWrite: true, shadowRead: 0, readCutover: 0 };

interface Backfilled {
  readonly run: number;
  readonly state: string;
  readonly survey: Readonly<Record<string, { lanes: number; items: number; owners_from: string }>>;
  readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const BY = ['--person', 'ann', '--reason', 'a test'];
let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    config: { copies: { concurrency: 2, automatic: false } },
    asked: COVERED,
  });
  await fill(deployment);
});

afterAll(() => deployment?.end());

/** Past the proxy, as if it had not been there yet. */
async function fill({ direct }: Deployment): Promise<void> {
  const session = createAgent({ endpoint: direct['session-memory'] });
  const jarvis = createAgent({ endpoint: direct['jarvis-memory'] });
  const contextual = createAgent({ endpoint: direct['contextual-memory'] });
  for (let index = 0; index < SESSIONS; index += 1) {
    await session.call(JSON.stringify({ action: 'create_session', session_id: `s${index}`, user_id: 'u' }));
    for (let turn = 0; turn < TURNS; turn += 1)
      await session.call(
        JSON.stringify({
          action: 'add_interaction',
          session_id: `s${index}`,
          role: 'user',
          content: `turn ${turn}`,
        }),
      );
  }
  for (let index = 0; index < USERS; index += 1)
    for (const memory of ['equal', 'equal', { nested: [index] }])
      await jarvis.call(JSON.stringify({ action: 'add_memory', user_id: `j${index}`, memory }));
  for (let index = 0; index < 3; index += 1)
    await contextual.call(
      JSON.stringify({
        action: 'add_interaction',
        session_id: `c${index}`,
        type: 'user_query',
        content: 'hello',
      }),
    );
  for (const agent of [session, jarvis, contextual]) agent.close();
}

const backfill = (...args: readonly string[]) =>
  runCommand(['backfill', '--json', '--url', deployment.httpUrl, ...BY, ...args]);

const stored = async (): Promise<readonly { session_id: string; items: number }[]> =>
  deployment.store(
    'select session_id, count(*)::int as items from memory_entries where is_active group by session_id',
  );

test('a dry run shows what would be copied, and writes nothing', async () => {
  const result = await backfill('--dry-run');
  expect(result.code).toBe(0);
  const { survey } = resultOf<Backfilled>(result);
  expect(survey['session-memory']).toMatchObject({
    owners_from: 'store',
    lanes: SESSIONS,
    items: SESSIONS * TURNS,
    strays: { 'interactions of sessions that are gone': 0 },
  });
  expect(survey['jarvis-memory']).toMatchObject({
    lanes: USERS,
    items: USERS * 3,
    concerns: { repeated_items: { count: USERS } },
  });
  expect(await stored()).toEqual([]);
  expect(await deployment.journal('select id from runs')).toEqual([]);
  expect(await deployment.journal('select id from lanes')).toEqual([]);
});

test('a backfill that is killed twice copies every lane once, and restores no delete', async () => {
  const running = backfill('--rate', '150');
  const lanesDone = async (): Promise<number> => {
    const lanes = await deployment.journal('select 1 from lanes where seeded_coverage > 0');
    return lanes.length;
  };
  await eventually('some lanes copied', async () => (await lanesDone()) >= 8);
  await deployment.crash();
  // The least active come last: this one is not copied yet.
  const reply = await askOnce(deployment.endpoints['session-memory'], {
    action: 'delete_session',
    session_id: 's0',
  });
  expect(reply.status).toBe('success');
  await eventually('more lanes copied', async () => (await lanesDone()) >= 30);
  await deployment.crash();
  const result = await running;
  expect({ code: result.code, err: result.stderr }).toEqual({ code: 0, err: '' });
  const { state, services } = resultOf<Backfilled>(result);
  expect(state).toBe('finished');
  // What was copied before a kill counts as copied, and not as there before.
  const itemsOf = (lanes: number, items: number) => ({
    lanes,
    items,
    items_copied: items,
    lanes_there_before: 0,
    items_left_out: 0,
  });
  expect(services['session-memory']).toMatchObject(itemsOf(SESSIONS, (SESSIONS - 1) * TURNS));
  expect(services['jarvis-memory']).toMatchObject(itemsOf(USERS, USERS * 3));
  expect(services['session-memory']).toMatchObject({
    digest: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    skipped: [],
    mapping: expect.arrayContaining([{ from: 'content', to: 'content.text' }]) as object[],
    samples: expect.arrayContaining([
      expect.objectContaining({
        items: TURNS,
        first_item: expect.objectContaining({
          role: expect.stringMatching(/^string\(4\)#/) as string,
        }) as object,
      }),
    ]) as object[],
  });
  const items = new Map((await stored()).map(({ session_id: id, items }) => [id, items]));
  expect(items.get('s0')).toBeUndefined();
  for (let index = 1; index < SESSIONS; index += 1) expect(items.get(`s${index}`)).toBe(TURNS);
  for (let index = 0; index < USERS; index += 1) expect(items.get(`jarvis:j${index}`)).toBe(3);
  expect(readLegacyStores(deployment.legacyFolder).sessions.size).toBe(SESSIONS - 1);
});

test('the metrics show the results of runs, and the remaining lanes', async () => {
  const scrape = async (): Promise<string> => (await fetch(`${deployment.httpUrl}/metrics`)).text();
  const lineOf = (text: string, name: string): RegExpExecArray | null =>
    new RegExp(`^crossfade_${name}\\{[^}]*kind="backfill"[^}]*\\} (\\S+)`, 'm').exec(text);
  const text = await eventually('the run is told', async () => {
    const shown = await scrape();
    return lineOf(shown, 'last_run_timestamp_seconds') === null ? undefined : shown;
  });
  expect(lineOf(text, 'runs_finished_total')?.[1]).toBe('1');
  expect(lineOf(text, 'open_runs')?.[1]).toBe('0');
  const [, finishedAt = '0'] = lineOf(text, 'last_run_timestamp_seconds') ?? [];
  expect(Math.abs(Date.now() / 1_000 - Number(finishedAt))).toBeLessThan(600);
  expect(text).toMatch(/^crossfade_run_lanes\{[^}]*state="waiting"[^}]*\} 0$/m);
  expect(text).toMatch(/^crossfade_divergent_lanes|^# TYPE crossfade_divergent_lanes/m);
  expect(text).toMatch(/^# HELP crossfade_open_lost_items \S/m);
});

test('a second backfill finds every lane copied, and writes nothing', async () => {
  const before = await deployment.store(
    'select max(updated_at) as newest, count(*)::int from memory_entries',
  );
  const { services } = resultOf<Backfilled>(await backfill('--service', 'jarvis-memory'));
  expect(services['jarvis-memory']).toMatchObject({
    lanes: USERS,
    lanes_there_before: USERS,
    items_copied: 0,
  });
  expect(Object.keys(services)).toEqual(['jarvis-memory']);
  const after = await deployment.store('select max(updated_at) as newest, count(*)::int from memory_entries');
  expect(after).toEqual(before);
});

test('a stopped or killed backfill continues with --resume, and copies nothing twice', async () => {
  const MORE = 40;
  const late = createAgent({ endpoint: deployment.direct['session-memory'] });
  for (let index = 0; index < MORE; index += 1) {
    const session_id = `late${index}`;
    await late.call(JSON.stringify({ action: 'create_session', session_id, user_id: 'u' }));
    for (const content of ['first', 'second'])
      await late.call(JSON.stringify({ action: 'add_interaction', session_id, role: 'user', content }));
  }
  late.close();
  const copied = async (): Promise<number> =>
    (await stored()).filter(({ session_id: id }) => id.startsWith('late')).length;
  const { run } = resultOf<Backfilled>(
    await backfill('--service', 'session-memory', '--rate', '20', '--detach'),
  );
  await eventually('some of them copied', async () => (await copied()) >= 4);
  // Not by a command: while one starts, a run this small could end.
  const stopped = await fetch(`${deployment.httpUrl}/v1/runs/${run}/stop`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ person: 'ann', reason: 'a test' }),
  });
  expect({ status: stopped.status, text: await stopped.text() }).toMatchObject({ status: 200 });
  const other = await backfill('--resume', '--rate', '5');
  expect(other.code).toBe(1);
  expect(other.stderr).toContain('--resume');
  const resumed = backfill('--resume');
  await eventually('more of them copied', async () => (await copied()) >= 12);
  await deployment.crash();
  const result = await resumed;
  expect({ code: result.code, err: result.stderr }).toEqual({ code: 0, err: '' });
  const { run: same, state, services } = resultOf<Backfilled>(result);
  expect({ same, state }).toEqual({ same: run, state: 'finished' });
  expect(services['session-memory']).toMatchObject({ items_copied: MORE * 2, lanes_left: 0 });
  const items = (await stored()).filter(({ session_id: id }) => id.startsWith('late'));
  expect(items.filter(({ items: count }) => count !== 2)).toEqual([]);
  expect(items).toHaveLength(MORE);
  const again = await backfill('--resume');
  expect(again.code).toBe(1);
  expect(again.stderr).toContain('there is nothing to resume');
});

test('starting, stopping and resuming a run needs a person and a reason, audited', async () => {
  const at = ['--url', deployment.httpUrl];
  const stop = ['runs', 'stop', '1', ...at];
  for (const [args, missing] of [
    [[...stop, '--reason', 'a test'], '--person'],
    [[...stop, '--person', 'ann'], '--reason'],
    [['reconcile', '--repair', 'apply', ...at], '--reason'],
  ] as const) {
    const refused = await runCommand([...args]);
    expect({ code: refused.code, err: refused.stderr }).toMatchObject({
      code: 1,
      err: expect.stringContaining(missing) as string,
    });
  }
  const nobody = await fetch(`${deployment.httpUrl}/v1/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'reconcile', reason: 'a test' }),
  });
  expect({ status: nobody.status, text: await nobody.text() }).toMatchObject({
    status: 400,
    text: expect.stringContaining('person') as string,
  });
  expect((await runCommand(['reconcile', '--json', ...at])).code).not.toBe(1);
  const { stdout } = await runCommand(['audit', '--service', 'session-memory', '--json', ...at]);
  const { entries } = JSON.parse(stdout) as {
    entries: readonly Record<'command' | 'person' | 'reason', string>[];
  };
  const commands = entries.map(({ command, person, reason }) => `${command} by ${person}: ${reason}`);
  expect(commands).toEqual(
    expect.arrayContaining([
      'runs begin by ann: a test',
      'runs stop by ann: a test',
      'runs resume by ann: a test',
      `runs begin by ${userInfo().username}: started on the command line`,
    ]),
  );
});

test('a refused start says what to do', async () => {
  const unknown = await backfill('--service', 'nobody');
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain('use session-memory, contextual-memory, jarvis-memory');
  await deployment.ask({ dualWrite: false, shadowRead: 0, readCutover: 0 });
  const uncovered = await backfill();
  expect(uncovered.code).toBe(1);
  expect(uncovered.stderr).toContain('Switch crossfade.<service>.dual-write on first');
});
