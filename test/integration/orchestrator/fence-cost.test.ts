import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLaneWriter, saying } from '../../support/lane-writer.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';

const stage = createStage();
let orchestrator: TestOrchestrator;
beforeAll(async () => {
  orchestrator = await stage.start('postgres', { access: { log: false }, cache: { enabled: false } });
});
afterAll(() => stage.stop());

/** Statements that the orchestrator has sent to the database, without the begin and commit of a transaction. */
async function statements(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${orchestrator.httpPort}/metrics`)).text();
  const counts = text.matchAll(/^crossfade_orchestrator_statements_total\{[^}]*\} (\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

let lanes = 0;
const newLane = () => createLaneWriter(orchestrator, `cost-${++lanes}`);
type Lane = ReturnType<typeof newLane>;

const change = (lane: Lane) => ({
  action: 'update',
  session_id: lane.session_id,
  payload: { memory_id: `${lane.session_id}-memory`, priority: 9 },
});
const operationsOf = (lanesOf: readonly Lane[], sequence: number, operationOf: (lane: Lane) => object) => ({
  operations: lanesOf.map((lane) => ({
    ...operationOf(lane),
    session_id: lane.session_id,
    lane: { key: lane.key, generation: 1, sequence },
  })),
});
const NAMED = { generation: 1, sequence: 2, operation_id: 'a' };

test.each<[what: string, count: number, send: (lanesOf: readonly Lane[]) => Promise<unknown>]>([
  [
    'a create',
    1,
    ([lane]) =>
      orchestrator.ask('create', saying('x').payload, {
        session_id: lane?.session_id ?? '',
        lane: { key: lane?.key ?? '', generation: 1, sequence: 2 },
      }),
  ],
  [
    'creates of several lanes',
    1,
    (all) =>
      orchestrator.ask(
        'batch_write',
        operationsOf(all, 2, () => saying('x')),
      ),
  ],
  ['updates of several lanes', 2, (all) => orchestrator.ask('batch_write', operationsOf(all, 2, change))],
  [
    'a repeated create',
    3,
    ([lane]) =>
      orchestrator.ask(
        'batch_write',
        operationsOf(lane ? [lane] : [], 1, () => saying('x')),
      ),
  ],
  ['a write that its sender names', 3, async ([lane]) => lane?.write(NAMED, saying('x'))],
  ['a write with preconditions', 4, async ([lane]) => lane?.write(NAMED, saying('x'), [{ session: 'open' }])],
  ['a close', 2, async ([lane]) => lane?.close({ generation: 1, sequence: 2 })],
])('%s takes %i statements', async (_what, count, send) => {
  const all = [newLane(), newLane(), newLane()];
  for (const lane of all) {
    const memory_id = `${lane.session_id}-memory`;
    await orchestrator.ask(
      'batch_write',
      operationsOf([lane], 1, () => saying('first', { memory_id })),
    );
  }
  const before = await statements();
  await send(all);
  expect((await statements()) - before).toBe(count);
});
