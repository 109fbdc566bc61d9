import { afterAll, beforeAll, expect, test } from 'vitest';
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

/** A return that runs already is refused, and so is one of a service whose lanes have all returned. */
async function beginReturns({ operator }: CrashCase): Promise<void> {
  for (const service of SERVICES)
    await operator.post('/v1/rollbacks', { service, all: true }).catch(() => undefined);
}

async function lanesOn(one: CrashCase, backend: string): Promise<number> {
  const rows = await queryJournal(one, `select from lanes where primary_backend = '${backend}'`);
  return rows.length;
}

/** A lane with a write of unknown outcome stays for a minute, in which its agent may repeat the write. Pauses come on top. */
const RETURNED_WITHIN_MS = 150_000;

// The lesson: a return that a crash ends half-way is continued, and never leaves a lane without a primary.
test.each([
  ['K7', 'return:announced'],
  ['K8', 'return:draining'],
  ['K9', 'return:committing'],
  ['K10', 'lane:returned'],
])(
  'a kill at %s, %s, loses nothing, and every lane returns later',
  async (point, name) => {
    const { one, works } = await beginFlipped(stage);
    const proxy = await one.startProxy(name);
    await killAt(proxy, { name }, async (lost) => {
      const writing = agentsWriteOn(one, works, lost);
      await beginReturns(one);
      await writing;
    });
    if (point === 'K7' || point === 'K9') expect(await lanesOn(one, 'legacy')).toBe(0);
    if (point === 'K10') expect(await lanesOn(one, 'legacy')).toBeGreaterThan(0);
    await one.startProxy();
    await beginReturns(one);
    await agentsRun(one, works, 50);
    await eventually(
      'all lanes on legacy',
      async () => (await lanesOn(one, 'orchestrator')) === 0,
      RETURNED_WITHIN_MS,
    );
    await one.settled();
    expect(findingsOf(works, await one.stores())).toEqual([]);
    await agentsRun(one, works, 51);
    await one.settled();
    expect(findingsOf(works, await one.stores())).toEqual([]);
    await one.end();
  },
  240_000,
);
