import { expect, test } from 'vitest';
import { Verdicts } from '../../../../src/engine/compare/verdicts.ts';
import type { FenceReason } from '../../../../src/engine/lane/fence.ts';
import { Lane } from '../../../../src/engine/lane/lane.ts';
import { Snapshot } from '../../../../src/engine/lane/lanes.ts';
import { judgeFenced } from '../../../../src/engine/shadow/shadow-reads.ts';
import type { ShadowTask } from '../../../../src/engine/shadow/shadow-task.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { fakeClock, mappedOf, ownerNamed, recorder, SERVICE } from '../engine-parts.ts';

const replyOf = (text: string): string => JSON.stringify({ status: 'ok', memories: [{ memory: text }] });

/** A read of a lane that the journal has no row of, to which legacy said `x`. */
async function judged(facts: { reason?: FenceReason; orchestrator?: string; hasWrite?: boolean } = {}) {
  const { reason = 'not_seeded', orchestrator = 'x', hasWrite = false } = facts;
  const clock = fakeClock();
  const lane = new Lane(SERVICE, ownerNamed('nobody'), clock);
  if (hasWrite) lane.sequenced(1);
  const services = new Map([[SERVICE, { definition: jarvisMemory, context: { timeZone: 'UTC' } }]]);
  const verdicts = new Verdicts({ services, clock, emit: recorder().emit });
  const task: ShadowTask = {
    operation: mappedOf('{"action": "get_memories", "user_id": "nobody"}'),
    primary: 'legacy',
    primaryMs: 1,
    text: replyOf('x'),
    before: new Snapshot(lane),
    isCompared: true,
    looks: 0,
    postponed: 0,
    seen: new Set(),
    startedAtMs: 0,
  };
  let asked = 0;
  const askOrchestrator = async (): Promise<string> => {
    asked += 1;
    return replyOf(orchestrator);
  };
  const fenced = { lane, reason, deadlineAtMs: clock.now() + 100 };
  const { comparison } = await judgeFenced(task, fenced, { askOrchestrator, verdicts });
  expect(comparison.verdict).toBe('not_comparable');
  return { reason: comparison.reason, asked };
}

test('a never-written lane with equal answers is reported apart, not as a match', async () => {
  expect(await judged()).toEqual({ reason: 'unknown_lane', asked: 1 });
});

test('a lane with more on legacy than on the orchestrator is not seeded', async () => {
  expect(await judged({ orchestrator: 'y' })).toEqual({ reason: 'not_seeded', asked: 1 });
});

test('a lane with a write is not unknown', async () => {
  expect(await judged({ hasWrite: true })).toEqual({ reason: 'not_seeded', asked: 0 });
});

test.each(['dirty', 'copying', 'stopped', 'excepted'] as const)(
  'a lane that is %s is dirty',
  async (reason) => {
    expect(await judged({ reason })).toEqual({ reason: 'dirty', asked: 0 });
  },
);
