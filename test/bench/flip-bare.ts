import { randomUUID } from 'node:crypto';
import { Router } from 'zeromq';
import { encodePrimaryWrite } from '../../src/backends/orchestrator-wire.ts';
import { laneKeyOf, operationId, type Owner } from '../../src/domain/ids.ts';
import { readText } from '../../src/domain/request.ts';
import { writeFactsOf } from '../../src/engine/items/write-facts.ts';
import { sessionMemory } from '../../src/services/session-memory/session-memory.ts';
import { applySchema } from '../../src/storage/apply-schema.ts';
import { createPostgresDatabase } from '../../src/storage/database.ts';
import { connectOrchestrator } from '../support/orchestrator.ts';
import { serveParent, settingsOfChild } from './child.ts';
import { noopService } from './engine-fixture.ts';
import { BareLoop } from './journal-bare.ts';

// The baseline of a write whose primary is the orchestrator: the same intent row, the same fenced write, the same reply, between the same
// sockets. It has no replicas, no turns and no retries, and sends nothing to legacy.

export interface BareSettings {
  readonly front: string;
  readonly orchestratorPort: number;
  /** A database of its own. */
  readonly journalUrl: string;
}

const { front, orchestratorPort, journalUrl } = settingsOfChild() as BareSettings;
const service = noopService();
const SCHEMA = new URL('../../src/storage/schema/', import.meta.url);
/** A session that the orchestrator does not have. */
const ABSENT = { data: {}, text: '{}' };

const database = createPostgresDatabase({ url: journalUrl });
await applySchema(database, SCHEMA);
await database.close();
const loop = new BareLoop(journalUrl);
await loop.start();
const orchestrator = connectOrchestrator(orchestratorPort);
const socket = new Router({ linger: 0 });
await socket.bind(front);

async function answer(request: string): Promise<string> {
  const message = readText(request);
  const { action: name, session_id: session } = message.fields;
  const action = sessionMemory.actions[String(name)];
  if (action?.kind !== 'write' || action.asPrimary === undefined)
    throw new Error(`The bare loop does not write "${String(name)}"`);
  const owner = String(session) as Owner;
  const key = laneKeyOf(service.name, owner);
  const id = operationId(randomUUID());
  const intent = { key, service: service.name, owner, operationId: id, action: String(name), request };
  const acceptedAtMs = Date.now();
  const place = await loop.append(intent);
  const write = { message, request, acceptedAtMs, sequence: place.sequence, operationId: id };
  const facts = {
    ...writeFactsOf(service, { owner, write }),
    context: service.context,
    answers: [ABSENT],
  };
  const plan = action.asPrimary.plan(facts);
  if (!('requires' in plan)) throw new Error(`${String(name)} has no effect`);
  const fence = { key, epoch: 1, generation: 0, sequence: place.sequence, operationId: id };
  const envelope = { requestId: id, timestamp: new Date().toISOString(), key: undefined };
  const { status, data, text } = await orchestrator.send(String(encodePrimaryWrite(plan, fence, envelope)));
  if (status !== 'success' || !Array.isArray(data.results)) throw new Error(text);
  loop.settle(place);
  return action.asPrimary.answer({ results: data.results }, facts);
}

let sending: Promise<void> = Promise.resolve();

async function serve(frames: readonly Buffer[]): Promise<void> {
  const reply = await answer(String(frames.at(-1))).catch((error: unknown) =>
    JSON.stringify({ status: 'error', error: String(error) }),
  );
  sending = sending.then(() => socket.send([...frames.slice(0, -1), reply])).catch(() => undefined);
}

serveParent();
for await (const frames of socket) void serve(frames);
