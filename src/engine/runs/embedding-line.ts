import { isJsonObject } from '../../domain/json.ts';
import type { Clock, Orchestrator } from '../ports/ports.ts';

/** The run and its pace look every quarter of a second, so a queue that grows slows a run within a second. */
const FRESH_MS = 250;
const TIMEOUT_MS = 1_000;

/** Number of memories that wait for an embedding, from the orchestrator's health; 0 if it does not report it. */
export function createEmbeddingLine(orchestrator: Orchestrator, clock: Clock): () => Promise<number> {
  let known = { atMs: Number.NEGATIVE_INFINITY, waiting: 0 };
  return async () => {
    const nowMs = clock.now();
    if (nowMs - known.atMs < FRESH_MS) return known.waiting;
    known = { atMs: nowMs, waiting: known.waiting };
    const answer = await orchestrator.read(
      { action: 'health', payload: {} },
      { purpose: 'probe', deadlineAtMs: nowMs + TIMEOUT_MS },
    );
    known = { atMs: nowMs, waiting: waitingIn(answer.data['details']) };
    return known.waiting;
  };
}

function waitingIn(details: unknown): number {
  const embeddings = isJsonObject(details) ? details['embeddings'] : undefined;
  const waiting = isJsonObject(embeddings) ? embeddings['waiting'] : undefined;
  return typeof waiting === 'number' ? waiting : 0;
}
