import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test', '--limit-share', '1'];
const LANES = ['first', 'second', 'third'];
const ITEMS = 3;

interface Reconciled {
  readonly run: number;
  readonly state: string;
  readonly reason: string;
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  for (const session of LANES) {
    await askOnce(deployment.endpoints['session-memory'], createSession(session));
    for (let item = 0; item < ITEMS; item += 1)
      await askOnce(deployment.endpoints['session-memory'], addInteraction(session, `item ${item}`));
  }
  await everythingDelivered(deployment);
});

afterAll(() => deployment?.end());

async function crossfade(...args: readonly string[]): Promise<Reconciled & { readonly code: number }> {
  const result = await runCommand([...args, '--json', '--url', deployment.httpUrl]);
  return { code: result.code, ...resultOf<Reconciled>(result) };
}

async function reconciled(): Promise<Readonly<Record<string, number>> | undefined> {
  return (await crossfade('reconcile', '--service', 'session-memory', ...BY.slice(0, 4))).services[
    'session-memory'
  ];
}

/** Past every program. */
function onLegacy(session: string, before: string, after: string): void {
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000');
  sqlite
    .prepare('update interactions set content = ? where session_id = ? and content = ?')
    .run(after, session, before);
  sqlite.close();
}

async function onOrchestrator(session: string, before: string, after: string): Promise<void> {
  const altered = await deployment.store(`
    update memory_entries set content = jsonb_set(content, '{text}', to_jsonb('${after}'::text))
    where session_id = '${session}' and content ->> 'text' = '${before}' returning 1`);
  expect(altered).toHaveLength(1);
}

const ALL_EQUAL = { lanes: LANES.length, lanes_equal: LANES.length, items: LANES.length * ITEMS };

test('states found equal are stored, and are equal at the next run', async () => {
  expect(await reconciled()).toMatchObject(ALL_EQUAL);
  const known = await deployment.journal(
    'select 1 from lane_baselines where equal_legacy is not null and equal_orchestrator is not null',
  );
  expect(known).toHaveLength(LANES.length);
  expect(await reconciled()).toMatchObject(ALL_EQUAL);
});

test('states found equal by other members are compared and stored again', async () => {
  const states = async (): Promise<string[]> => {
    const rows = await deployment.journal<{ state: string }>(
      "select key || ' ' || equal_legacy as state from lane_baselines join lanes on id = lane_id order by key",
    );
    return rows.map(({ state }) => state);
  };
  const before = await states();
  await deployment.journal(
    "update lane_baselines set equal_legacy = split_part(equal_legacy, ' ', 1) || ' 0123456789abcdef'",
  );
  expect(await states()).not.toEqual(before);
  expect(await reconciled()).toMatchObject(ALL_EQUAL);
  expect(await states()).toEqual(before);
});

test('a later change is found on either side, and no longer after it is reverted', async () => {
  await onOrchestrator('first', 'item 1', 'altered');
  onLegacy('second', 'item 1', 'altered');
  expect(await reconciled()).toMatchObject({
    lanes_equal: 1,
    altered_on_orchestrator: 1,
    altered_on_legacy: 1,
  });
  await onOrchestrator('first', 'altered', 'item 1');
  onLegacy('second', 'altered', 'item 1');
  expect(await reconciled()).toMatchObject(ALL_EQUAL);
  // The same on both sides, and not what was once found equal.
  await onOrchestrator('third', 'item 2', 'both');
  onLegacy('third', 'item 2', 'both');
  expect(await reconciled()).toMatchObject(ALL_EQUAL);
});

test('a repair ends at the first lane whose difference is not the one found', async () => {
  await onOrchestrator('first', 'item 1', 'altered');
  const { run } = await crossfade('reconcile', '--service', 'session-memory', ...BY.slice(0, 4));
  await onOrchestrator('first', 'item 2', 'altered as well');
  const surprised = await crossfade('repair', 'apply', String(run), ...BY);
  expect(surprised).toMatchObject({ code: 2, state: 'stopped' });
  expect(surprised.reason).toContain('its difference is not the one');
  const held = await deployment.store<{ text: string }>(
    `select content ->> 'text' as text from memory_entries where session_id = 'first' order by position`,
  );
  expect(held.map(({ text }) => text)).toEqual(['item 0', 'altered', 'altered as well']);
  const again = await crossfade('reconcile', '--service', 'session-memory', ...BY.slice(0, 4));
  expect(await crossfade('repair', 'apply', String(again.run), ...BY)).toMatchObject({ state: 'finished' });
  expect(await reconciled()).toMatchObject(ALL_EQUAL);
});
