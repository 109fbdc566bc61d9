import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LaneKey, parseLaneKey } from '../../src/domain/ids.ts';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import { eventually } from '../support/eventually.ts';
import { agentsRun, agentsWriteOn, killAt } from './crash.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';
import { findingsOf, runAll, workOf, type LaneWork } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

interface Ready {
  readonly one: CrashCase;
  readonly works: readonly LaneWork[];
  readonly journal: Database;
}

/** Lanes that exist on legacy, a proven way back, and flags that ask for everything. No proxy runs. */
async function readyToFlip(): Promise<Ready> {
  const one = await stage.begin();
  const works = workOf(one.prefix);
  const first = await one.startProxy();
  await agentsRun(one, works, 1);
  await one.settled();
  await first.stop();
  const journal = createPostgresDatabase({ url: one.journalUrl, poolSize: 1 });
  for (const service of ['session-memory', 'contextual-memory', 'jarvis-memory'])
    await journal.query(`insert into reverse_proofs (service, by) values ($1, 'agent')`, [service]);
  one.askForAll();
  return { one, works, journal };
}

interface LaneRow {
  readonly key: LaneKey;
  readonly primary: string;
  readonly epoch: number;
  readonly flips: number;
  readonly comparison: string | null;
  readonly is_behind: boolean;
}

const lanesIn = (journal: Database): Promise<LaneRow[]> =>
  journal.query<LaneRow>(
    `select l.key, l.primary_backend as primary, l.epoch, l.delivered_sequence < l.sequence as is_behind,
       (select count(*) from flips f where f.lane_id = l.id) as flips,
       (select f.comparison from flips f where f.lane_id = l.id and f.epoch = l.epoch) as comparison
     from lanes l order by l.key`,
    [],
  );

// The lesson: one row commits. Everything before it can be cancelled, and everything after it is only rolled forward.
test.each([
  ['K1', 'flip:announced', 0],
  ['K3', 'flip:drained', 0],
  ['K4', 'flip:committed', 1],
  ['K5', 'lane:flipped', 1],
] as const)(
  'a kill at %s, %s, leaves %i lanes of the service flipped, and all move later',
  async (_point, name, flipped) => {
    const ready = await readyToFlip();
    const left = await killedAt(ready, name, (lost) =>
      runAll(ready.works, ready.one.endpoints, { round: 2, lost }),
    );
    // Another service may have a flip of its own under way.
    const { service } = parseLaneKey(left.at);
    const ofService = left.lanes.filter(({ key }) => parseLaneKey(key).service === service);
    expect(ofService.filter(({ epoch }) => epoch === 1).map(({ key }) => key)).toEqual(
      flipped === 1 ? [left.at] : [],
    );
    await allMoveLater(ready);
  },
);

// A lane that is written to has a write without a reply after the kill. It moves when that can no longer be repeated.
test(
  'a kill at K2, flip:draining, loses nothing, and all lanes move later',
  { timeout: 300_000 },
  async () => {
    const ready = await readyToFlip();
    await killedAt(ready, 'flip:draining', (lost) => agentsWriteOn(ready.one, ready.works, lost));
    await allMoveLater(ready, 200_000);
  },
);

test('a kill at K6, flip:comparing, leaves a lane that is compared later', async () => {
  const ready = await readyToFlip();
  const left = await killedAt(ready, 'flip:comparing', (lost) =>
    runAll(ready.works, ready.one.endpoints, { round: 2, lost }),
  );
  const flipped = left.lanes.filter(({ primary }) => primary === 'orchestrator');
  expect(flipped.length).toBeGreaterThan(0);
  expect(flipped.map(({ comparison }) => comparison)).toEqual(flipped.map(() => null));
  await allMoveLater(ready);
});

/** The lanes after a proxy was killed there, and the lane of the event. Each lane has one primary. */
async function killedAt(
  { one, journal }: Ready,
  name: string,
  agents: (lost: Promise<'unanswered'>) => Promise<void>,
): Promise<{ readonly lanes: readonly LaneRow[]; readonly at: LaneKey }> {
  const proxy = await one.startProxy(name);
  await killAt(proxy, { name }, agents);
  const lanes = await lanesIn(journal);
  for (const { primary, epoch, flips } of lanes) {
    expect(primary).toBe(epoch === 1 ? 'orchestrator' : 'legacy');
    expect(flips).toBe(epoch);
  }
  const { lane = '' } = proxy.events.lines.find((line) => line.name === name) ?? {};
  return { lanes, at: lane as LaneKey };
}

/** With another proxy, every lane moves, and both backends hold what agents wrote. */
async function allMoveLater({ one, works, journal }: Ready, withinMs?: number): Promise<void> {
  await one.startProxy();
  await agentsRun(one, works, 3);
  const areAll = async (): Promise<boolean> =>
    (await lanesIn(journal)).every(
      ({ primary, is_behind: isBehind, comparison }) =>
        primary === 'orchestrator' && !isBehind && comparison === 'equal',
    );
  await eventually('all lanes flipped, on both backends, and compared', areAll, withinMs);
  await one.settled();
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await journal.close();
  await one.end();
}
