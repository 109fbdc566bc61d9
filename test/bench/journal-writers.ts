import { randomUUID } from 'node:crypto';
import { laneKeyOf, operationId, type Owner } from '../../src/domain/ids.ts';
import type { PostgresJournal } from '../../src/storage/journal/journal.ts';
import type { BareLoop } from './journal-bare.ts';
import { SERVICE } from './engine-fixture.ts';
import { Recorder, type Sample } from './samples.ts';

const REQUEST = JSON.stringify({
  action: 'add_interaction',
  session_id: 'session-0000',
  role: 'user',
  content:
    'The customer asks for the invoice of last month, and whether it can be sent to another address. '.repeat(
      3,
    ),
  metadata: { tags: ['invoice'], length: 288 },
  request_id: 'r1',
});

/** One writer of one lane: a durable intent, then its outcome, which rides along with the next commit. */
export type WriteOnce = (writer: number) => Promise<void>;

export function throughJournal(journal: PostgresJournal): WriteOnce {
  return async (writer) => {
    const owner = `journal-${writer}` as Owner;
    const lane = laneKeyOf(SERVICE, owner);
    const state = await journal.append({
      operationId: operationId(randomUUID()),
      service: SERVICE,
      owner,
      lane,
      action: 'add_interaction',
      request: REQUEST,
      acceptedAtMs: Date.now(),
    });
    if (state === undefined) throw new Error('The lane was busy, although there is one replica');
    void journal.recordOutcome({
      ref: { laneId: state.id, lane, sequence: state.sequence },
      outcome: 'applied',
    });
  };
}

export function throughBareLoop(loop: BareLoop): WriteOnce {
  return async (writer) => {
    const owner = `bare-${writer}`;
    loop.settle(
      await loop.append({
        key: `${SERVICE}/${owner}`,
        service: SERVICE,
        owner,
        operationId: randomUUID(),
        action: 'add_interaction',
        request: REQUEST,
      }),
    );
  };
}

/** So many writers, each with the next write as soon as its last one is durable. */
export async function writeFor(seconds: number, writers: number, write: WriteOnce): Promise<Sample> {
  const recorder = new Recorder();
  const startedAtMs = performance.now();
  const endAtMs = startedAtMs + seconds * 1_000;
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let sentAtMs = performance.now(); sentAtMs < endAtMs;) {
        await write(writer);
        const nowMs = performance.now();
        recorder.add(nowMs - sentAtMs);
        sentAtMs = nowMs;
      }
    }),
  );
  return recorder.sample((performance.now() - startedAtMs) / 1_000);
}
