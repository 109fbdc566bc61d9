import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { MappedRead } from '../../../../src/domain/service-definition.ts';
import { SERVICE } from '../engine-parts.ts';
import { beginShadowReads as begin } from '../shadow/shadow-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a removed item', () => {
  const rules: MappedRead['rules'] = [
    {
      kind: 'ranking',
      path: 'memories',
      key: 'id',
      owner: 'test',
      reason: 'a search',
      floors: { overlap: 0, rankBiasedOverlap: 0 },
    },
  ];
  const found = (...ids: readonly (string | number)[]): string =>
    JSON.stringify({ status: 'ok', memories: ids.map((id) => ({ id })) });
  const returned = (at: ReturnType<typeof begin>) =>
    at.events.filter(({ name }) => name === 'comparison:deleted_returned').map(({ event }) => event);
  const removed = async () => new Set(['7', 'gone']);

  test('that only the orchestrator shows is reported at once', async () => {
    const at = begin({ rules, removed });
    at.answers.orchestrator = found('a', 7, 'gone');
    await at.offer(found('a'));
    expect(returned(at)).toMatchObject([{ service: SERVICE, items: 2, lane: at.lane.key }]);
  });

  test('that legacy shows too was written again', async () => {
    const at = begin({ rules, removed });
    at.answers.orchestrator = found('a', 7);
    await at.offer(found(7, 'a'));
    expect(returned(at)).toEqual([]);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test('is proven under a hold if other replicas write', async () => {
    const at = begin({ rules, removed, isAlone: false });
    at.answers.legacy = found('a');
    at.answers.orchestrator = found('a', 'gone');
    await at.offer(found('a'));
    expect(returned(at)).toEqual([]);
    for (const ms of [300, 1_100, 5_100]) await at.pass(ms);
    expect(at.asked.at(-1)).toMatchObject({ isHeld: true });
    expect(returned(at)).toMatchObject([{ items: 1 }]);
  });

  test('is not searched if the journal does not know; answers are still compared', async () => {
    const at = begin({ rules, removed: () => Promise.reject(new Error('away')) });
    at.answers.orchestrator = found('a', 'gone');
    await at.offer(found('a'));
    expect(returned(at)).toEqual([]);
    expect(at.names()).toContain('journal:failed');
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });
});
