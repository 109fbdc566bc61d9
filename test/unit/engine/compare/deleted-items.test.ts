import { describe, expect, test } from 'vitest';
import { serviceName, type LaneKey } from '../../../../src/domain/ids.ts';
import { readText } from '../../../../src/domain/request.ts';
import type { ServiceDefinition, WriteAction } from '../../../../src/domain/service-definition.ts';
import { RemovedItems } from '../../../../src/engine/compare/removed-items.ts';
import { Verdicts } from '../../../../src/engine/compare/verdicts.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { fakeClock } from '../engine-parts.ts';

const LANE = 'lane' as LaneKey;

/** How many deleted items a comparison finds after these writes, all of them applied. */
async function returned(
  definition: ServiceDefinition,
  asked: { readonly writes: readonly object[]; readonly read: string },
  [legacy, orchestrator]: readonly [string, string],
  isFlipped = false,
): Promise<number | undefined> {
  const service = serviceName(definition.name);
  const services = new Map([[service, { definition, context: { timeZone: 'UTC' } }]]);
  const writes = asked.writes.map((write) => ({
    action: (write as { action: string }).action,
    request: JSON.stringify(write),
  }));
  const removed = new RemovedItems(services, { appliedTo: async () => writes });
  const deleted = await removed.of(service, LANE);
  const verdicts = new Verdicts({ services, clock: fakeClock(), emit: () => undefined });
  const of = { service, action: asked.read };
  const { comparison } = await verdicts.compare(of, {
    legacy,
    orchestrator,
    isFlipped,
    ...(deleted && { deleted }),
  });
  return comparison.deletedReturned;
}

describe('an answer of session-memory', () => {
  const says = (content: unknown) => ({ action: 'add_interaction', session_id: 's', role: 'user', content });
  const read = 'get_context';
  const shows = (...contents: readonly unknown[]): string =>
    JSON.stringify({
      status: 'success',
      context: contents.map((content) => ({ role: 'user', content, timestamp: '2026-11-22T01:00:00' })),
    });

  test.each(['clear_session', 'delete_session'])('shows what was deleted by %s', async (action) => {
    const writes = [says('a'), says('b'), { action, session_id: 's' }, says('c')];
    expect(await returned(sessionMemory, { writes, read }, [shows('c'), shows('a', 'b', 'c')])).toBe(2);
    expect(await returned(sessionMemory, { writes, read }, [shows('c'), shows('c', 'd')])).toBeUndefined();
  });

  test('of a flipped lane shows what was deleted, whichever backend shows it', async () => {
    const asked = { writes: [says('a'), { action: 'clear_session', session_id: 's' }, says('c')], read };
    expect(await returned(sessionMemory, asked, [shows('a', 'c'), shows('c')], true)).toBe(1);
    expect(await returned(sessionMemory, asked, [shows('c'), shows('a', 'c')], true)).toBe(1);
    expect(await returned(sessionMemory, asked, [shows('a', 'c'), shows('c')])).toBeUndefined();
  });

  test('may show items that were written again, that legacy shows, or never deleted', async () => {
    const clear = { action: 'clear_session', session_id: 's' };
    const again = [says('a'), says('b'), clear, says('a')];
    expect(await returned(sessionMemory, { writes: again, read }, [shows(), shows('a')])).toBeUndefined();
    expect(
      await returned(sessionMemory, { writes: again, read }, [shows('b'), shows('a', 'b')]),
    ).toBeUndefined();
    expect(
      await returned(sessionMemory, { writes: [says('a')], read }, [shows(), shows('a')]),
    ).toBeUndefined();
  });
});

describe('an answer of jarvis-memory', () => {
  const read = 'get_memories';
  const write = (memory: unknown) => ({ action: 'add_memory', user_id: 'ann', memory });
  const clear = { action: 'clear_memories', user_id: 'ann' };
  const shows = (memories: readonly string[]): string =>
    `{"status": "ok", "memories": [${memories.map((memory) => `{"timestamp": 1000.0, "memory": ${memory}}`).join(', ')}]}`;

  test.each(['"tea"', '{"type": "note", "weight": 1.0, "at": 12345678901234567890}', 'null', '[1.50, true]'])(
    'shows a memory that was cleared: %s',
    async (memory) => {
      const writes = [write(readText(`{"memory": ${memory}}`).fields['memory']), clear];
      expect(await returned(jarvisMemory, { writes, read }, [shows([]), shows([memory])])).toBe(1);
    },
  );
});

test('every shipped definition says how its writes and reads identify items', () => {
  for (const { name, actions } of [sessionMemory, jarvisMemory]) {
    const all = Object.entries(actions);
    const removing = all.filter(([action]) => /clear|delete/.test(action)).map(([, action]) => action);
    const writes = removing.filter((action): action is WriteAction => action.kind === 'write');
    expect(writes.length, name).toBeGreaterThan(0);
    for (const action of writes) expect(action.itemKeys?.(readText('{}'))).toEqual({ removesAll: true });
    const reads = all.filter(([, action]) => action.kind === 'read');
    for (const [action, read] of reads) expect(read, `${name} ${action}`).toHaveProperty('items');
  }
});
