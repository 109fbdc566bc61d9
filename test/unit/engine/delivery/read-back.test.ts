import { expect, test } from 'vitest';
import type { SessionId } from '../../../../src/domain/ids.ts';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import type { Clock } from '../../../../src/shared/clock.ts';
import type { Orchestrator } from '../../../../src/engine/ports/ports.ts';
import { isStoredAsSent } from '../../../../src/engine/delivery/read-back.ts';

const SENT: OrchestratorWrite = {
  action: 'create',
  sessionId: 's1' as SessionId,
  payload: { memory_id: 'm1', content: { text: 'hello', n: 1 }, tags: ['memory', 'user:ana'] },
};

/** What an orchestrator answers that holds this one memory. */
function isSeenAs(memory: object): Promise<boolean> {
  const text = JSON.stringify({ memories: [memory] });
  const read = () => Promise.resolve({ data: {}, text });
  const orchestrator: Pick<Orchestrator, 'read'> = { read };
  const clock: Pick<Clock, 'now'> = { now: () => 0 };
  return isStoredAsSent([SENT], {
    orchestrator: orchestrator as Orchestrator,
    clock: clock as Clock,
  });
}

const STORED = { memory_id: 'm1', content: { n: 1.0, text: 'hello' }, tags: ['memory', 'user:ana'] };

test('a memory stored as it was sent is recognised in any order of its members', async () => {
  expect(await isSeenAs(STORED)).toBe(true);
});

test.each([
  ['is not there', { ...STORED, memory_id: 'm2' }],
  ['has another content', { ...STORED, content: { text: 'hallo', n: 1 } }],
  ['lacks a tag', { ...STORED, tags: ['memory'] }],
  ['has no tags', { memory_id: 'm1', content: STORED.content }],
])('a memory that %s differs from what was sent', async (_what, stored) => {
  expect(await isSeenAs(stored)).toBe(false);
});
