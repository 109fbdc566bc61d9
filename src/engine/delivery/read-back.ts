import { canonicalJson, encodeJson, rawElements, rawMembers } from '../../domain/json.ts';
import type { SessionId } from '../../domain/ids.ts';
import { digestedText } from '../../domain/content-digest.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator } from '../ports/ports.ts';
import type { Delivered, Parcel } from './pack.ts';

const TIMEOUT_MS = 2_000;
/** Share of the deliveries. */
const SHARE = 0.01;

interface ReadBackParts {
  readonly orchestrator: Pick<Orchestrator, 'read'>;
  readonly clock: Clock;
}

/** Whether a delivery is read back: a small share, and every redriven one. */
export function isReadBackDue({ write }: Parcel, result: Delivered, random: () => number): boolean {
  return write.letter === 'redriven' || (result === 'applied' && random() < SHARE);
}

/**
 * Reads what a delivery has just created, and compares it with what was sent. This check needs no agent to read. Returns false if
 * something is missing or altered. @throws CrossfadeError if it cannot be read
 */
export async function isStoredAsSent(
  operations: readonly OrchestratorWrite[],
  { orchestrator, clock }: ReadBackParts,
): Promise<boolean> {
  const creates = operations.filter(({ action }) => action === 'create');
  const sessionId: SessionId | undefined = creates[0]?.sessionId;
  if (sessionId === undefined) return true;
  const sent = new Map(
    creates.map(({ payload }) => [
      String(payload['memory_id']),
      comparable(encodeJson(payload['content']), encodeJson(payload['tags'] ?? [])),
    ]),
  );
  const answer = await orchestrator.read(
    {
      action: 'batch_read',
      sessionId,
      payload: { memory_ids: [...sent.keys()], no_touch: true, count: false },
    },
    { purpose: 'probe', deadlineAtMs: clock.now() + TIMEOUT_MS },
  );
  const stored = new Map(
    rawElements(rawMembers(answer.text)['memories'] ?? '[]').map((text) => {
      const members = rawMembers(text);
      const { memory_id: id = '""', content = 'null', tags = '[]' } = members;
      return [String(JSON.parse(id)), comparable(content, tags)];
    }),
  );
  return [...sent].every(([id, content]) => stored.get(id) === content);
}

/** Whether the secondary holds something else than was sent. Never rejects. */
export async function isAltered({ lane, write, operations }: Parcel, parts: ReadBackParts): Promise<boolean> {
  const isSame = await isStoredAsSent(operations, parts).catch(() => true);
  // A later write may have deleted it.
  return !isSame && lane.sequence === write.sequence && lane.condition === 'clean';
}

/** Leaves out the time, because a comparison may have replaced it by legacy's since. */
const TIMED = { without: ['metadata.legacy_timestamp'] };

function comparable(content: string, tags: string): string {
  const fields = Object.keys(rawMembers(content));
  return canonicalJson(`[${digestedText(content, { ...TIMED, fields })},${tags}]`);
}
