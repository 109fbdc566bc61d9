import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEndOfMigration } from '../support/end-of-service.ts';
import { eventually } from '../support/eventually.ts';
import { agentsRun, agentsWriteOn, killAt } from './crash.ts';
import { type CrashCase, type CrashStage, startStage } from './crash-stage.ts';
import { findingsOf } from './crash-workload.ts';
import { beginFlipped, queryJournal } from './flip-by-hand.ts';

const SERVICES = ['session-memory', 'contextual-memory', 'jarvis-memory'];

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage?.end());

/** Writes that legacy lacks, and that were accepted before it became read-only. */
const OWED = `
  select from writes w join lanes l on l.id = w.lane_id join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where o.outcome = 'applied' and w.sequence > l.delivered_sequence`;

const endsOf = ({ operator }: CrashCase) =>
  SERVICES.map((service) => createEndOfMigration(operator, service));

// The lesson: the record comes first, and what the old side is still owed is sent after a crash.
test('a kill at K13, service:read_only, leaves legacy with each write up to the record', async () => {
  const { one, works } = await beginFlipped(stage);
  const name = 'service:read_only';
  const proxy = await one.startProxy(name);
  await killAt(proxy, { name }, async (lost) => {
    const writing = agentsWriteOn(one, works, lost);
    // The proxy may halt before the last of these answers.
    for (const end of endsOf(one)) await end.readOnly().catch(() => undefined);
    await writing;
  });
  await one.startProxy();
  for (const end of endsOf(one)) await end.becameReadOnly();
  for (const end of endsOf(one)) await end.settled();
  const before = (await one.stores()).legacy;
  await agentsRun(one, works, 50);
  expect((await one.stores()).legacy).toEqual(before);
  for (const end of endsOf(one)) await end.reopen();
  await eventually('every write on legacy', async () => (await queryJournal(one, OWED)).length === 0);
  await one.settled();
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await one.end();
});

test('a kill at K14, service:completed, leaves a service that needs no legacy', async () => {
  const { one, works } = await beginFlipped(stage);
  const name = 'service:completed';
  const proxy = await one.startProxy(name);
  await agentsRun(one, works, 1);
  const [end] = endsOf(one);
  await end?.readOnly();
  await end?.settled();
  await killAt(proxy, { name }, async (lost) => {
    const writing = agentsWriteOn(one, works, lost);
    await end?.complete();
    await writing;
  });
  const { legacy } = await one.stores();
  await one.startProxy();
  await agentsRun(one, works, 50);
  await one.settled();
  const { orchestrator, legacy: left } = await one.stores();
  expect(findingsOf(works, { legacy: orchestrator, orchestrator })).toEqual([]);
  expect(left.sessions).toEqual(legacy.sessions);
  await one.end();
});
