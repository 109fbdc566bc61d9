import { expect, test } from 'vitest';
import type { Owner } from '../../../../src/domain/ids.ts';
import type { LaneDefinition, LegacyLane } from '../../../../src/domain/service-definition.ts';
import { CopyReads } from '../../../../src/engine/copies/copy-lane.ts';
import type { ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { notes } from '../../../sim/legacy/notes-service.ts';
import { ownerNamed, serviceWith } from '../engine-parts.ts';

const laneOf = (text: string): LegacyLane => ({
  exists: true,
  items: [{ fields: { text }, timestamp: '1', at: '2026-01-01T00:00:00.000Z' }],
});

/** A store whose readings end when the test says so. */
function createStore(broken?: string) {
  const readings: { readonly owners: readonly string[]; readonly end: () => void }[] = [];
  const reading = <Result>(of: readonly string[], result: () => Result): Promise<Result> =>
    new Promise((resolve, reject) => {
      const end = (): void => (of.includes(broken ?? '') ? reject(new Error('half')) : resolve(result()));
      readings.push({ owners: of, end });
    });
  const lanes = {
    readLegacy: (owner: Owner) => reading([owner], () => laneOf(owner)),
    readMany: (of: readonly Owner[]) => reading(of, () => new Map(of.map((owner) => [owner, laneOf(owner)]))),
  };
  return { readings, lanes };
}

function serviceOf(lanes: Partial<LaneDefinition>): ServiceRuntime {
  return serviceWith({ definition: { ...notes, lanes: { ...notes.lanes, ...lanes } } });
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const OWNERS = ['a', 'b', 'c', 'd'].map(ownerNamed);

test('lanes that wait during a reading share the next one, which starts later', async () => {
  const { readings, lanes } = createStore();
  const [service, reads] = [serviceOf(lanes), new CopyReads()];
  const read = OWNERS.slice(0, 1).map((owner) => reads.read(service, owner));
  await turn();
  read.push(...OWNERS.slice(1).map((owner) => reads.read(service, owner)));
  await turn();
  expect(readings.map(({ owners }) => owners)).toEqual([['a']]);
  readings[0]?.end();
  await turn();
  expect(readings.map(({ owners }) => owners)).toEqual([['a'], ['b', 'c', 'd']]);
  readings[1]?.end();
  expect(await Promise.all(read)).toEqual(OWNERS.map((owner) => laneOf(owner)));
});

test('a lane that cannot be read fails alone', async () => {
  const { readings, lanes } = createStore('b');
  const [service, reads] = [serviceOf(lanes), new CopyReads()];
  const settled = Promise.allSettled(OWNERS.map((owner) => reads.read(service, owner)));
  for (let ended = 0; ended <= OWNERS.length; ended += 1) {
    await turn();
    readings[ended]?.end();
  }
  const states = (await settled).map(({ status }) => status);
  expect(states).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
});

test('lanes that cannot be read together are each read alone, in parallel', async () => {
  const { readings, lanes } = createStore();
  const [service, reads] = [serviceOf({ readLegacy: lanes.readLegacy }), new CopyReads()];
  const read = OWNERS.map((owner) => reads.read(service, owner));
  expect(readings.map(({ owners }) => owners)).toEqual(OWNERS.map((owner) => [owner]));
  for (const { end } of readings) end();
  expect(await Promise.all(read)).toEqual(OWNERS.map((owner) => laneOf(owner)));
});
