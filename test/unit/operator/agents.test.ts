import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import { AgentBook, type AgentStore } from '../../../src/operator/agents.ts';

const SERVICE = serviceName('session-memory');
type Written = Parameters<AgentStore['write']>[0];

function bookOf(most?: number) {
  const written: Written[] = [];
  const journal = { isAway: false };
  let nowMs = 1_000;
  const book = new AgentBook({
    services: [SERVICE],
    store: {
      async write(agents) {
        if (journal.isAway) throw new Error('the journal is away');
        written.push(agents);
      },
      seenLastHour: async () => new Map(),
      list: async () => [],
      writersPastProxy: async () => [],
    },
    clock: { now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined },
    onProblem: () => undefined,
    ...(most !== undefined && { most }),
  });
  const ask = (name: string, dialect: 'zmq' | 'http' = 'zmq'): void => {
    nowMs += 1;
    book.listener('agent:asked', { service: SERVICE, agent: { name, dialect } });
  };
  return { book, written, journal, ask };
}

test('each agent is stored once, with requests, first and last time, and dialect', async () => {
  const { book, written, ask } = bookOf();
  for (const name of ['ann', 'bob', 'ann']) ask(name);
  ask('ann', 'http');
  await book.list([SERVICE], 10);
  await book.list([SERVICE], 10);
  expect(written).toEqual([
    [
      { service: SERVICE, name: 'bob', dialect: 'zmq', requests: 1, firstAtMs: 1_002, lastAtMs: 1_002 },
      { service: SERVICE, name: 'ann', dialect: 'http', requests: 3, firstAtMs: 1_001, lastAtMs: 1_004 },
    ],
  ]);
});

test('above the limit, the agents with the oldest requests are dropped', async () => {
  const { book, written, ask } = bookOf(2);
  for (const name of ['ann', 'bob', 'ann', 'eve']) ask(name);
  await book.list([SERVICE], 10);
  expect(written[0]?.map(({ name }) => name)).toEqual(['ann', 'eve']);
});

test('requests that could not be stored are added to the next ones', async () => {
  const { book, written, journal, ask } = bookOf();
  journal.isAway = true;
  for (const name of ['ann', 'ann', 'bob']) ask(name);
  await expect(book.list([SERVICE], 10)).rejects.toThrow('away');
  ask('ann');
  journal.isAway = false;
  await book.list([SERVICE], 10);
  expect(written[0]?.map(({ name, requests, firstAtMs }) => [name, requests, firstAtMs])).toEqual([
    ['bob', 1, 1_003],
    ['ann', 3, 1_001],
  ]);
});
