import { beforeEach, describe, expect, test } from 'vitest';
import { type LaneKey, operationId, serviceName } from '../../../../src/domain/ids.ts';
import { RepeatedLooks, Verdicts } from '../../../../src/engine/compare/verdicts.ts';
import { lookOf, type Pair } from '../../../../src/engine/shadow/shadow-task.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { mappedOf } from '../engine-parts.ts';

const SERVICE = serviceName('jarvis-memory');
const ACTION = 'get_memories';
const MINUTE_MS = 60_000;

let nowMs: number;
let verdicts: Verdicts;

beforeEach(() => {
  nowMs = 0;
  const clock = { now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined };
  const services = new Map([[SERVICE, { definition: jarvisMemory, context: { timeZone: 'UTC' } }]]);
  verdicts = new Verdicts({ services, clock, emit: () => undefined });
});

const of = (lane: string) => ({
  operationId: operationId('o-1'),
  service: SERVICE,
  action: ACTION,
  lane: `${SERVICE}/${lane}` as LaneKey,
});

/** Concludes a read of a lane that stands at a place. @returns whether it is no further evidence */
async function isRepeat(lane: string, place: string, more: { text?: string; other?: string } = {}) {
  const { text = '{"action":"get_memories"}', other = '{"status":"ok","memories":[]}' } = more;
  const pair: Pair = { legacy: '{"status":"ok","memories":[]}', orchestrator: other, isSteady: true, place };
  const asked = { user_id: lane, ...(JSON.parse(text) as object) };
  const look = lookOf({ operation: mappedOf(JSON.stringify(asked)) }, pair);
  const { isRepeat: is } = verdicts.conclude(of(lane), await verdicts.compare(of(lane), pair), look);
  return is === true;
}

describe('repeated reads of an unchanged lane', () => {
  test('count as one proof, whatever the request id', async () => {
    expect(await isRepeat('ann', '1.4')).toBe(false);
    expect(await isRepeat('ann', '1.4')).toBe(true);
    expect(await isRepeat('ann', '1.4', { text: '{"action":"get_memories","request_id":"2"}' })).toBe(true);
    expect(await isRepeat('bob', '1.4')).toBe(false);
  });

  test('count again after a write, after a copy, and after 15 minutes', async () => {
    expect(await isRepeat('ann', '1.4')).toBe(false);
    expect(await isRepeat('ann', '1.5')).toBe(false);
    expect(await isRepeat('ann', '2.5')).toBe(false);
    nowMs = 15 * MINUTE_MS - 1;
    expect(await isRepeat('ann', '2.5')).toBe(true);
    nowMs += 1;
    expect(await isRepeat('ann', '2.5')).toBe(false);
    expect(await isRepeat('ann', '2.5')).toBe(true);
  });

  test('count each time that they differ', async () => {
    const other = '{"status":"ok","memories":[{"timestamp":1,"memory":1}]}';
    for (let times = 0; times < 3; times += 1) expect(await isRepeat('ann', '1.4', { other })).toBe(false);
  });
});

test('comparisons of an unchanged whole lane count as one proof', () => {
  const match = { verdict: 'match', differences: [], suppressed: 0 } as const;
  expect(verdicts.concludeLane(of('ann'), match, 4).isRepeat).toBeUndefined();
  expect(verdicts.concludeLane(of('ann'), match, 4).isRepeat).toBe(true);
  expect(verdicts.concludeLane(of('ann'), match, 5).isRepeat).toBeUndefined();
  const mismatch = { ...match, verdict: 'mismatch' } as const;
  expect(verdicts.concludeLane(of('ann'), mismatch, 5).isRepeat).toBeUndefined();
});

test('the memory is bounded, so the oldest look counts again', () => {
  const looks = new RepeatedLooks();
  for (let at = 0; at <= 100_000; at += 1) looks.isRepeat(`look ${at}`, 0);
  expect(looks.isRepeat('look 2', 0)).toBe(true);
  expect(looks.isRepeat('look 0', 0)).toBe(false);
});
