import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { operationId, type LaneKey } from '../../../../src/domain/ids.ts';
import type { MappedRead } from '../../../../src/domain/service-definition.ts';
import type {
  OperatorRule,
  RuleHits,
  SignatureSightings,
} from '../../../../src/engine/compare/comparison-stores.ts';
import { Verdicts, type ComparisonEdges } from '../../../../src/engine/compare/verdicts.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { fakeClock, recorder, SERVICE, type FakeClock } from '../engine-parts.ts';
import { rule } from './compared.ts';

const EXCHANGE_MS = 5_000;
const ACTION = 'get_memories';
const OF = { operationId: operationId('o'), service: SERVICE, action: ACTION, lane: 'lane' as LaneKey };

let clock: FakeClock;
let stores: { isAway: boolean; rules: OperatorRule[]; hits: RuleHits[]; sightings: SignatureSightings[] };

beforeEach(() => {
  vi.useFakeTimers();
  clock = fakeClock();
  stores = { isAway: false, rules: [], hits: [], sightings: [] };
});
afterEach(() => void vi.useRealTimers());

function begin(rules: MappedRead['rules'] = []) {
  const { emit, events } = recorder();
  const read = { ...(jarvisMemory.actions[ACTION] as MappedRead), rules };
  const definition = { ...jarvisMemory, actions: { ...jarvisMemory.actions, [ACTION]: read } };
  const edges: ComparisonEdges = {
    rules: {
      rules: async () => stores.rules,
      changes: async () => [],
      addHits: async (hits) => {
        if (stores.isAway) throw new Error('away');
        stores.hits.push(...hits);
      },
    },
    signatures: { add: async (found) => void stores.sightings.push(...found) },
    compareLarge: () => Promise.reject(new Error('no reply of this test is large')),
  };
  const services = new Map([[SERVICE, { definition, context: { timeZone: 'UTC' } }]]);
  const verdicts = new Verdicts({ services, clock, emit, edges });
  const compare = async (legacy: string, orchestrator: string): Promise<void> => {
    verdicts.conclude(OF, await verdicts.compare(OF, { legacy, orchestrator }), undefined);
  };
  return { verdicts, events, compare };
}

test('hits and signatures that could not be stored are stored with the next ones', async () => {
  const { verdicts, compare } = begin([rule('note', { kind: 'ignore' })]);
  await verdicts.start();
  stores.isAway = true;
  await compare('{"note":1,"a":1}', '{"note":2,"a":2}');
  await clock.pass(EXCHANGE_MS);
  expect([stores.hits, stores.sightings]).toEqual([[], []]);
  stores.isAway = false;
  await compare('{"note":1,"a":1}', '{"note":2,"a":2}');
  await clock.pass(EXCHANGE_MS);
  expect(stores.hits).toMatchObject([{ rule: 'ignore note', hits: 2 }]);
  expect(stores.sightings).toMatchObject([{ path: 'a', count: 2 }]);
  await verdicts.stop();
  expect(stores.hits).toHaveLength(1);
});

test('a rule that expires while the proxy runs is off, and reported once', async () => {
  const expires = new Date(EXCHANGE_MS + 1_000).toISOString();
  const { verdicts, events, compare } = begin([rule('note', { kind: 'ignore' }, expires)]);
  const told = () => events.filter(({ name }) => name === 'rule:expired').map(({ event }) => event);
  await verdicts.start();
  await clock.pass(EXCHANGE_MS);
  await compare('{"note":1}', '{"note":2}');
  await clock.pass(500);
  expect([told(), stores.sightings]).toEqual([[], []]);
  for (let times = 0; times < 3; times += 1) await clock.pass(EXCHANGE_MS);
  expect(told()).toEqual([
    { service: SERVICE, action: ACTION, kind: 'ignore', path: 'note', owner: 'test', expires },
  ]);
  await compare('{"note":1}', '{"note":2}');
  await clock.pass(EXCHANGE_MS);
  expect(stores.sightings).toMatchObject([{ path: 'note' }]);
  await verdicts.stop();
});
