import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import { createAgentStore } from '../../../src/storage/agents.ts';
import { onEachJournal } from './each-journal.ts';

const [SESSION, JARVIS] = [serviceName('session-memory'), serviceName('jarvis-memory')];
const HOUR_MS = 3_600_000;

onEachJournal((database) => {
  const agent = (name: string, more: { requests?: number; hoursAgo?: number } = {}) => {
    const atMs = Date.now() - (more.hoursAgo ?? 0) * HOUR_MS;
    const requests = more.requests ?? 1;
    return { service: SESSION, name, dialect: 'zmq' as const, requests, firstAtMs: atMs, lastAtMs: atMs };
  };

  test('requests of all replicas add up, and the oldest agents are removed', async () => {
    const store = createAgentStore(database(), { keep: 3 });
    await store.write([agent('ann', { requests: 2 }), agent('old', { hoursAgo: 5 })]);
    await store.write([agent('ann', { requests: 3, hoursAgo: 2 }), agent('bob', { hoursAgo: 2 })]);
    await store.write([{ ...agent('ann'), service: JARVIS, dialect: 'http' }]);
    const listed = await store.list([SESSION, JARVIS], 10);
    expect(listed.map(({ service, name, dialect, requests }) => [service, name, dialect, requests])).toEqual(
      expect.arrayContaining([
        [SESSION, 'ann', 'zmq', 5],
        [JARVIS, 'ann', 'http', 1],
        [SESSION, 'bob', 'zmq', 1],
      ]),
    );
    expect(listed).toHaveLength(3);
    const ann = listed.find(({ service, name }) => service === SESSION && name === 'ann');
    expect(Math.round(((ann?.lastAtMs ?? 0) - (ann?.firstAtMs ?? 0)) / HOUR_MS)).toBe(2);
    expect(Object.fromEntries(await store.seenLastHour([SESSION, JARVIS]))).toEqual({
      [JARVIS]: 1,
      [SESSION]: 1,
    });
    expect(await store.list([SESSION], 1)).toHaveLength(1);
  });

  test('writers that bypass the proxy are separate from known agents', async () => {
    const found = [
      { side: 'legacy', kind: 'added', by: 'ann' },
      { side: 'legacy', kind: 'added', by: 'stranger' },
      { side: 'legacy', kind: 'removed' },
      { side: 'legacy', kind: 'lost', by: 'nobody' },
      { side: 'orchestrator', kind: 'altered', by: 'nobody' },
    ];
    await database().query("insert into runs (kind, request) values ('reconcile', '{}')");
    for (const owner of ['s-1', 's-2'])
      await database().query(
        `insert into divergences (run_id, service, owner, findings, before, after, state)
         select max(id), $1, $2, $3::jsonb, '{}', '{}', 'open' from runs`,
        [SESSION, owner, JSON.stringify(found)],
      );
    const writers = await createAgentStore(database(), { keep: 10 }).writersPastProxy([SESSION], 10);
    expect(
      writers
        .map(({ writer, lanes, isSeen }) => ({ writer, lanes, isSeen }))
        .toSorted((a, b) => String(a.writer).localeCompare(String(b.writer))),
    ).toEqual([
      { writer: 'ann', lanes: 2, isSeen: true },
      { writer: null, lanes: 2, isSeen: false },
      { writer: 'stranger', lanes: 2, isSeen: false },
    ]);
  });
});
